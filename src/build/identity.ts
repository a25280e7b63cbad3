// Tells whether this is the input that an earlier build, or another machine, has read: what decides all that the stages
// leave, as one hash.

import { createHash } from 'node:crypto'

import { FORMAT_VERSION } from '../format/layout.ts'
import { batchFormatOf } from '../input/batch-format.ts'
import { optionsDeciding, type BuildPlan } from './build-options.ts'
import { fingerprintDatabase, fingerprintFile, stampFile, type FileStamp } from './fingerprint.ts'
import type { SpooledColumns } from './given-columns.ts'
import { areTexts } from './option-checks.ts'

/** Rises when stages leave other files than before: what a build of another version left is not gone on with. */
export const STAGES_VERSION = 5

/** The caller's files, as they are when the build begins; a database looks after its readers itself. */
export interface InputStamps {
  readonly rows: readonly FileStamp[]
  readonly ids: readonly FileStamp[]
}

export function stampInputs({ input, ids, query }: BuildPlan): InputStamps {
  const isFile = typeof input === 'string' && batchFormatOf(input, query) !== 'sqlite'
  return { rows: isFile ? [stampFile(input)] : [], ids: typeof ids === 'string' ? [stampFile(ids)] : [] }
}

function fingerprintInput(path: string, { query }: BuildPlan): string {
  return batchFormatOf(path, query) === 'sqlite' ? fingerprintDatabase(path) : fingerprintFile(path)
}

/** What is said of rows and of ids, where they are in files. */
interface FilesSeen {
  readonly rows: string
  readonly ids: string
}

/** The files as they are on this machine, their times included. */
export function seenFiles(plan: BuildPlan, input: string): FilesSeen {
  return { rows: fingerprintInput(input, plan), ids: typeof plan.ids === 'string' ? fingerprintFile(plan.ids) : '' }
}

/** What the files hold, as far as a sample tells, or what was spooled: on every machine the same. */
export function contentOf({ rows, ids }: InputStamps, digest: string | undefined): FilesSeen {
  const textOf = (stamps: readonly FileStamp[]): string =>
    stamps.map(({ byteLength, sample }) => `${byteLength} ${sample}`).join()
  return { rows: digest ?? textOf(rows), ids: textOf(ids) }
}

/** Names all that decides what the stages leave. */
export function identify(plan: BuildPlan, given: SpooledColumns, seen: FilesSeen): string {
  const { ids } = plan
  const idsSeen =
    typeof ids === 'string'
      ? seen.ids
      : ids === undefined || areTexts(ids)
        ? (given.texts?.digest ?? '')
        : hashOf(new Uint8Array(Float64Array.from<unknown>(ids, Number).buffer))
  const options = { ...optionsDeciding(plan, 'input'), ...optionsDeciding(plan, 'recipe') }
  const inputs = [seen.rows, idsSeen, given.payloads?.digest, given.texts === undefined]
  return hashOf(JSON.stringify([STAGES_VERSION, FORMAT_VERSION, inputs, options]))
}

function hashOf(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
