// A small program that uses the library, for runtimes and bundles: builds with threads, opens, searches, searches a
// batch until threads run or say why not, checks. Prints one line of JSON. Arguments: the folder of the index, and
// `open` to take the index that is there.

import { ZgqIndex } from 'zgq'
import { buildIndex } from 'zgq/build'
import { checkIndex } from 'zgq/check'

/** Batches after which threads have started, or never will. */
const MOST_BATCHES = 30

async function main(output, isThere) {
  const [count, dim] = [8192, 512]
  const input = Float32Array.from({ length: count * dim }, (_, i) => (i * 7919) % 101)
  let workers = 2
  let buildFailure
  const options = { input, dim, output, zones: 5, force: true }
  const built = isThere ? Promise.resolve() : buildIndex({ ...options, workers })
  await built.catch((error) => {
    if (error.code !== 'ZGQ_UNSUPPORTED' || !error.message.includes('worker')) throw error
    workers = 0
    buildFailure = error.message
    return buildIndex({ ...options, workers })
  })
  const index = ZgqIndex.open(output, { threads: 2 })
  const [first] = index.search(input.subarray(0, dim), { k: 3, exact: true })
  const queries = input.subarray(0, 500 * dim)
  let batches = 0
  const isDecided = ({ running, failure }) => running > 0 || failure !== undefined
  while (batches < MOST_BATCHES && !isDecided(index.info().threads)) {
    const found = await index.searchBatch(queries, { k: 3, exact: true })
    if (found.length !== 500 || found[0][0].distance !== first.distance) throw new Error('a batch finds something else')
    batches++
  }
  const { kernel, reader, threads } = index.info()
  index.close()
  const { ok } = await checkIndex(output)
  return { ok: ok && first.distance === 0, kernel, reader: reader.kind, workers, buildFailure, threads, batches }
}

main(process.argv[2], process.argv[3] === 'open').then(
  (found) => console.log(JSON.stringify(found)),
  (error) => console.log(JSON.stringify({ code: error.code, error: String(error) }))
)
