// Forged metadata with good checksums is refused, typed, within a second and 64 MB, by every command that reads it: it
// does not hang, run code, exhaust memory, read outside its folder, or return what no index can hold.

import { cpSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'

import { makeVectors } from './support/datasets.ts'
import { buildSpecimens } from './support/forged-specimens.ts'
import { GROUPS, type Forgery } from './support/forgeries/index.ts'
import { COMMANDS, PYTHON_COMMANDS, runForged, type Job, type Outcome } from './support/run-forged.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('forged', IN_MEMORY)
const SEED = 41
const DIM = 8
const COUNT = 300
const MOST_BYTES = 64 * 2 ** 20
/** Of processor time: the machine may be busy. */
const MOST_MS = 1000

let folders: ReadonlyMap<string, string> = new Map()
const queries = temp.fresh('queries.fbin')
beforeAll(async () => {
  folders = await buildSpecimens(temp, { count: COUNT, dim: DIM, seed: SEED })
  writeFileSync(queries, fbin(makeVectors('clustered', { count: 2, dim: DIM }, SEED + 1), DIM))
})

/** What every one of them refuses is refused by all that opens in the same way. */
const OPENING = ['search', 'check', 'inspect', 'calibrate', ...PYTHON_COMMANDS]
const LOOKS = ['open', 'inspect', 'json', 'html']

/** The outcomes that are allowed of a command on a forged index. */
function allowedOf({ seen, codes }: Forgery, command: string): readonly string[] {
  if (seen === 'nobody') return ['fine']
  if (seen === 'open' || command === 'check' || command === 'python check') return codes
  if (seen === 'build') return command === 'calibrate' || command === 'python search' ? ['fine', ...codes] : codes
  if (seen === 'derived') return ['fine', ...codes]
  // What values fields have is looked at, too.
  if (seen === 'documents' && LOOKS.includes(command) && command !== 'open') return ['fine', ...codes]
  if (LOOKS.includes(command)) return ['fine']
  if (seen === 'documents' && command === 'documents') return codes
  if (seen === 'rows' && (command === 'exact' || command === 'python search')) return codes
  if (seen === 'codes' && command === 'codes') return codes
  if (seen === 'codes' && (command === 'exact' || command === 'python search')) return ['fine']
  return ['fine', ...codes]
}

/** Names what was not as it should be. */
function complaintsOf(forgery: Forgery, outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap(({ command, outcome, cpuMs, bytes }) => [
    ...(allowedOf(forgery, command).includes(outcome) ? [] : [`${command}: ${outcome}`]),
    ...(cpuMs <= MOST_MS ? [] : [`${command}: took ${Math.round(cpuMs)} ms`]),
    ...(bytes <= MOST_BYTES ? [] : [`${command}: took ${Math.round(bytes / 2 ** 20)} MB`])
  ])
}

function place(forgery: Forgery): { folder: string; jobs: Job[] } {
  const folder = temp.fresh('index')
  cpSync(folders.get(forgery.of ?? 'usual') ?? '', folder, { recursive: true })
  forgery.forge(folder)
  const all = forgery.seen === 'open' ? OPENING : [...COMMANDS, ...PYTHON_COMMANDS]
  const commands = all.filter((command) => !(forgery.without ?? []).includes(command))
  return { folder, jobs: commands.map((command) => ({ folder, command })) }
}

describe.each(GROUPS)(`forged %s (seed ${SEED})`, (_, forgeries) => {
  let placed: readonly { readonly folder: string; readonly jobs: readonly Job[] }[] = []
  let outcomes: readonly Outcome[] = []

  beforeAll(async () => {
    placed = forgeries.map(place)
    outcomes = await runForged(
      placed.flatMap(({ jobs }) => jobs),
      temp.fresh('jobs.json'),
      { queries }
    )
  })

  it.each(forgeries.map((forgery, i) => ({ ...forgery, i })))('$seen: $title', ({ i, ...forgery }) => {
    const { folder, jobs } = placed[i]
    const found = outcomes.filter((outcome) => outcome.folder === folder)
    expect(found).toHaveLength(jobs.length)
    expect(complaintsOf(forgery, found)).toEqual([])
  })
})
