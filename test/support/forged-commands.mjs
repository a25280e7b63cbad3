// Runs commands on forged indexes, one after the other, in a process that its parent may kill: each as a user would,
// by the API or by the zgq command as it stands in dist/. Prints a line of JSON before and after each command.
//
//   node --expose-gc forged-commands.mjs DIST JOBS.json     JOBS: [{ folder, command }]

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [dist, jobsFile] = process.argv.slice(2)
const { ZgqIndex, ZgqError } = await import(pathToFileURL(join(dist, 'index.js')).href)
const { openRemote } = await import(pathToFileURL(join(dist, 'remote.js')).href)
const jobs = JSON.parse(readFileSync(jobsFile, 'utf8'))
const say = process.stdout.write.bind(process.stdout)
process.stdout.setMaxListeners(0)

const query = (dim) => Float32Array.from({ length: dim }, (_, i) => 0.5 + (i % 7) / 10)

const isId = (id) =>
  typeof id === 'string' ? id !== '' && Buffer.byteLength(id) <= 1024 : Number.isSafeInteger(id) && id >= 0

/** Filters that read all fields. */
const FILTERS = {
  string: { $gt: 'b' },
  number: { $lt: 3 },
  boolean: { $ne: true },
  'string[]': { $in: ['tag 1'] }
}

/** Reads payloads, fields and ids of all rows. */
function readDocuments(index, vector) {
  const { fields, count } = index.info()
  for (const [name, type] of Object.entries(fields)) {
    const found = index.count({ [name]: FILTERS[type] })
    if (!Number.isSafeInteger(found) || found < 0 || found > count) return `a count of ${found}`
  }
  const hits = index.search(vector, { exact: true, k: count, payload: true })
  for (const { payload } of hits)
    if (payload !== undefined && (typeof payload !== 'object' || Object.getPrototypeOf(payload) !== Object.prototype))
      return 'a payload that is no map'
  const ids = [...index.ids()]
  if (ids.length !== count || !ids.every(isId)) return `ids ${ids.slice(0, 3)}`
  for (const id of ids.slice(0, 20)) index.document(id)
  return judge(hits)
}

function judge(hits) {
  for (const { id, distance } of hits) {
    if (!Number.isFinite(distance)) return `a hit at distance ${distance}`
    if (!isId(id)) return `a hit with id ${id}`
  }
  return undefined
}

/** Opens an index and lets `work` use it; `work` returns what is wrong. */
function opened(folder, work) {
  const index = ZgqIndex.open(folder)
  try {
    const wrong = work(index, query(index.info().dim))
    return wrong === undefined ? 'fine' : `wrong: ${wrong}`
  } finally {
    index.close()
  }
}

let imports = 0
/** Runs the zgq command in this process; returns its exit code and what it printed. */
async function zgq(...args) {
  let printed = ''
  const keep = (text) => {
    printed += text
    return true
  }
  const [stdout, stderr] = [process.stdout.write, process.stderr.write]
  process.argv = [process.execPath, 'zgq', ...args]
  process.exitCode = 0
  process.stdout.write = keep
  process.stderr.write = keep
  try {
    await import(`${pathToFileURL(join(dist, 'zgq.js')).href}?${imports++}`)
  } finally {
    process.stdout.write = stdout
    process.stderr.write = stderr
  }
  const code = process.exitCode
  process.exitCode = 0
  return { code, printed }
}

function outcomeOf({ code, printed }) {
  if (/[\0-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(printed)) return 'wrong: control characters printed'
  if (code === 0) return 'fine'
  return /^zgq: (ZGQ_\w+): /m.exec(printed)?.[1] ?? `exit ${code}: ${printed.slice(0, 200)}`
}

const COMMANDS = {
  open: (folder) => opened(folder, (index) => void index.info()),
  search: (folder) => opened(folder, (index, vector) => judge(index.search(vector))),
  codes: (folder) => opened(folder, (index, vector) => judge(index.search(vector, { nprobe: 1000, rerank: 1 }))),
  nprobe: (folder) => opened(folder, (index, vector) => judge(index.search(vector, { nprobe: 1 }))),
  exact: (folder) => opened(folder, (index, vector) => judge(index.search(vector, { exact: true, k: 20 }))),
  get: (folder) =>
    opened(folder, (index) =>
      index.info().ids === 'string'
        ? void [index.get('note 0.md#0'), index.has('nobody')]
        : void [index.get(7), index.has(2 ** 52)]
    ),
  documents: (folder) => opened(folder, readDocuments),
  check: async (folder) => outcomeOf(await zgq('check', folder)),
  inspect: async (folder) => outcomeOf(await zgq('inspect', folder)),
  json: async (folder) => outcomeOf(await zgq('inspect', folder, '--json')),
  html: async (folder) => {
    const page = `${folder}.html`
    const { code, printed } = await zgq('inspect', folder, '--html', page)
    return outcomeOf({ code, printed: printed + (code === 0 ? readFileSync(page, 'utf8') : '') })
  },
  /** Of a packed file, as from a web server. */
  remote: async (file) => {
    const bytes = readFileSync(file)
    const getBytes = (_, offset, length) => Promise.resolve({ bytes: bytes.subarray(offset, offset + length) })
    const index = await openRemote({ getBytes })
    try {
      const { count, dim, fields } = index.info()
      const hits = await index.search(query(dim), { k: 20, payload: true })
      hits.push(...(await index.search(query(dim), { exact: true, k: count })))
      for (const [name, type] of Object.entries(fields)) await index.count({ [name]: FILTERS[type] })
      for (const { id } of hits.slice(0, 20)) await index.document(id)
      const wrong = judge(hits)
      return wrong === undefined ? 'fine' : `wrong: ${wrong}`
    } finally {
      index.close()
    }
  },
  calibrate: async (folder) => outcomeOf(await zgq('calibrate', folder))
}

/** Peak and present memory of this process, in bytes. */
function memory() {
  const status = readFileSync('/proc/self/status', 'utf8')
  const of = (name) => Number(new RegExp(`${name}:\\s*(\\d+)`).exec(status)[1]) * 1024
  return { peak: of('VmHWM'), now: of('VmRSS') }
}

/** Above this, a command is measured once more after the garbage of those before it was collected, which takes time. */
const DOUBTFUL_BYTES = 24 * 2 ** 20

async function measure({ folder, command }) {
  writeFileSync('/proc/self/clear_refs', '5') // the peak counts anew
  const before = memory().now
  const startedAt = process.cpuUsage()
  let outcome
  try {
    outcome = await COMMANDS[command](folder)
  } catch (error) {
    // The one of zgq/remote is another class.
    const isTyped = error instanceof ZgqError || error.name === 'ZgqError'
    outcome = isTyped ? error.code : `not a ZgqError: ${error}`
    if (/[\0-\x1f\x7f-\x9f]/.test(error.message)) outcome = 'wrong: control characters in a message'
  }
  const { user, system } = process.cpuUsage(startedAt)
  return { folder, command, outcome, cpuMs: (user + system) / 1000, bytes: memory().peak - before }
}

for (const job of jobs) {
  say(`${JSON.stringify(job)}\n`)
  let measured = await measure(job)
  if (measured.bytes > DOUBTFUL_BYTES) {
    globalThis.gc()
    const { outcome, cpuMs, bytes } = await measure(job)
    if (outcome !== measured.outcome) measured.outcome += `, then ${outcome}`
    measured = { ...measured, cpuMs: Math.max(cpuMs, measured.cpuMs), bytes }
  }
  say(`${JSON.stringify(measured)}\n`)
}
