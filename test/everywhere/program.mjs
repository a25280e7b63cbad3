// A small program that uses the library, for runtimes and bundles: builds with threads and from a query, opens,
// searches, searches a batch until threads run or say why not, checks. Prints one line of JSON: what each of them did,
// or what it said. Arguments: the folder of the index, a database of rows, and `open` to take the index that is there
// where none can be built.

import { ZgqIndex } from 'zgq'
import { buildIndex } from 'zgq/build'
import { checkIndex } from 'zgq/check'

/** Batches after which threads have started, or never will. */
const MOST_BATCHES = 30
const DIM = 512
const input = Float32Array.from({ length: 8192 * DIM }, (_, i) => (i * 7919) % 101)

/** Resolves to what the work resolves to; a typed error that says what is missing here becomes text. */
function orSays(work) {
  return work.catch((error) => {
    if (error.code !== 'ZGQ_UNSUPPORTED') throw error
    return error.message
  })
}

async function build(output, isThere) {
  const options = { input, dim: DIM, output, zones: 5, force: true }
  const withThreads = await orSays(buildIndex({ ...options, workers: 2 }))
  if (typeof withThreads !== 'string') return 'with threads'
  const without = await orSays(buildIndex({ ...options, workers: 0 }))
  if (typeof without !== 'string') return `without threads: ${withThreads}`
  if (isThere) return without
  throw new Error(without)
}

/** Builds from rows of a database, which a process of its own reads. */
async function query(database, output) {
  const built = buildIndex({ input: database, query: 'SELECT id, vector FROM rows', output, force: true, workers: 0 })
  const found = await orSays(built)
  return typeof found === 'string' ? found : `${found.count} rows`
}

async function search(output) {
  const index = ZgqIndex.open(output, { threads: 2 })
  const [first] = index.search(input.subarray(0, DIM), { k: 3, exact: true })
  const [again] = await index.searchAsync(input.subarray(0, DIM), { k: 3, exact: true })
  const queries = input.subarray(0, 500 * DIM)
  const isDecided = ({ running, failure }) => running > 0 || failure !== undefined
  for (let batches = 0; batches < MOST_BATCHES && !isDecided(index.info().threads); batches++) {
    const found = await index.searchBatch(queries, { k: 3, exact: true })
    if (found.length !== 500 || found[0][0].distance !== first.distance) throw new Error('a batch finds something else')
  }
  const { kernel, reader, sqlite, threads } = index.info()
  index.close()
  return {
    hasFound: first.distance === 0 && again.distance === 0,
    kernel,
    reader: reader.kind,
    sqlite: sqlite.driver,
    threads: threads.running > 0 ? 'run' : (threads.failure ?? 'never started')
  }
}

async function main(output, database, isThere) {
  const built = await build(isThere ? `${output}-new` : output, isThere)
  const { hasFound, ...found } = await search(output)
  const rows = await query(database, `${output}-query`)
  const { ok } = await checkIndex(output)
  return { ok: ok && hasFound, build: built, query: rows, ...found }
}

main(process.argv[2], process.argv[3], process.argv[4] === 'open').then(
  (found) => console.log(JSON.stringify(found)),
  (error) => console.log(JSON.stringify({ ok: false, code: error.code, error: String(error) }))
)
