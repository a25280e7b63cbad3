// Does with forged indexes what a program does, one after the other, in a process that its parent may kill. Prints a
// line of JSON before and after each.
//
//   node --expose-gc fuzz-commands.mjs DIST JOBS.json     JOBS: [{ folder, command: 'all' }]

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [dist, jobsFile] = process.argv.slice(2)
const { ZgqIndex, ZgqError } = await import(pathToFileURL(join(dist, 'index.js')).href)
const { checkIndex } = await import(pathToFileURL(join(dist, 'check.js')).href)

const CODES = [
  'ZGQ_CORRUPT',
  'ZGQ_MISMATCH',
  'ZGQ_UNSUPPORTED',
  'ZGQ_TRUNCATED',
  'ZGQ_NOT_AN_INDEX',
  // An index may have fewer rows than the id or vector that is asked for.
  'ZGQ_NOT_FOUND'
]
const SEARCHES = [
  {},
  { k: 1 },
  { recall: 0.9, k: 20 },
  { nprobe: 1 },
  { nprobe: 3, rerank: 1 },
  { nprobe: 1000, rerank: 1, k: 50 },
  { exact: true, k: 5000 }
]

const USUAL_DIM = 48
/** Ids that all indexes have before they are forged. */
const USUAL_IDS = 2400

/** Whether data files hold an id, wherever: as a u64 at a multiple of 8. */
function hasId(folder, id) {
  const wanted = Buffer.alloc(8)
  wanted.writeBigUInt64LE(BigInt(id))
  return readdirSync(folder)
    .filter((name) => name.endsWith('.zgq'))
    .some((name) => {
      const bytes = readFileSync(join(folder, name))
      for (let at = bytes.indexOf(wanted); at !== -1; at = bytes.indexOf(wanted, at + 1)) if (at % 8 === 0) return true
      return false
    })
}

/** Says what no index can answer. */
function findWrong(hits, k, folder) {
  if (hits.length > k) return `${hits.length} hits of ${k}`
  for (const [i, { id, distance }] of hits.entries()) {
    if (!Number.isFinite(distance)) return `a hit at distance ${distance}`
    if (!Number.isSafeInteger(id) || id < 0) return `a hit with id ${id}`
    const before = hits[i - 1]
    if (before && (before.distance > distance || (before.distance === distance && before.id > id)))
      return `hits out of order at ${i}`
    if (i < 20 && id >= USUAL_IDS && !hasId(folder, id)) return `a hit with id ${id}, which no file has`
  }
  return undefined
}

function query(dim) {
  return Float32Array.from({ length: dim }, (_, i) => 0.5 + (i % 7) / 10)
}

/** Runs a step; notes its code, or what is wrong with it. */
async function run(seen, name, step) {
  const startedAt = process.cpuUsage()
  let said = 'fine'
  try {
    const wrong = await step()
    if (wrong !== undefined) said = `wrong: ${wrong}`
  } catch (error) {
    said = error instanceof ZgqError && CODES.includes(error.code) ? error.code : `wrong: ${error.stack}`
    if (/[\0-\x09\x0b-\x1f\x7f-\x9f]/.test(error.message)) said = 'wrong: control characters in a message'
  }
  const { user, system } = process.cpuUsage(startedAt)
  seen.push({ name, said, cpuMs: (user + system) / 1000 })
  return said
}

async function useAll(folder) {
  const seen = []
  let index
  await run(seen, 'open', () => {
    index = ZgqIndex.open(folder)
  })
  if (index !== undefined) {
    let dim = USUAL_DIM
    await run(seen, 'info', () => {
      dim = index.info().dim
    })
    const vector = query(dim)
    for (const options of SEARCHES)
      await run(seen, `search ${JSON.stringify(options)}`, () =>
        findWrong(index.search(vector, options), options.k ?? 10, folder)
      )
    await run(seen, 'get', () => void [index.get(7), index.has(2 ** 52)])
    await run(seen, 'close', () => {
      index.close()
    })
  }
  await run(seen, 'check', async () => {
    await checkIndex(folder)
    // What is whole has to answer.
    const bad = seen.find(({ said }) => said !== 'fine')
    return bad === undefined ? undefined : `check finds nothing, and ${bad.name} says ${bad.said}`
  })
  return seen
}

function memory() {
  const status = readFileSync('/proc/self/status', 'utf8')
  const of = (name) => Number(new RegExp(`${name}:\\s*(\\d+)`).exec(status)[1]) * 1024
  return { peak: of('VmHWM'), now: of('VmRSS') }
}

async function measure({ folder, command }) {
  writeFileSync('/proc/self/clear_refs', '5')
  const before = memory().now
  const seen = await useAll(folder)
  const wrong = seen.find(({ said }) => said.startsWith('wrong'))
  const outcome = wrong === undefined ? seen.map(({ said }) => said).join() : `${wrong.name} ${wrong.said}`
  return { folder, command, outcome, cpuMs: Math.max(...seen.map(({ cpuMs }) => cpuMs)), bytes: memory().peak - before }
}

const DOUBTFUL_BYTES = 24 * 2 ** 20
for (const job of JSON.parse(readFileSync(jobsFile, 'utf8'))) {
  process.stdout.write(`${JSON.stringify(job)}\n`)
  let measured = await measure(job)
  if (measured.bytes > DOUBTFUL_BYTES || measured.cpuMs > 500) {
    globalThis.gc()
    measured = await measure(job)
  }
  process.stdout.write(`${JSON.stringify(measured)}\n`)
}
