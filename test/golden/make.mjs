// Makes the golden indexes of one version of the format, from numbers drawn with a seed: node test/golden/make.mjs,
// after npm run build. It refuses to make one that is there: golden files are never made anew.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { ZgqIndex } from '../../dist/index.js'
import { buildIndex } from '../../dist/build.js'

const FOLDER = dirname(fileURLToPath(import.meta.url))
const COUNT = 300
const DIM = 20
const QUERIES = 5
const INDEXES = [
  { name: 'v1-l2-bits0', metric: 'l2', bits: 0, seed: 101 },
  { name: 'v1-cosine-bits1', metric: 'cosine', bits: 1, seed: 102 },
  { name: 'v1-l2-bits2', metric: 'l2', bits: 2, seed: 103 },
  { name: 'v1-ip-bits4', metric: 'ip', bits: 4, seed: 104 }
]

/** mulberry32: numbers in [0, 1). */
function randomFrom(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

for (const { name, metric, bits, seed } of INDEXES) {
  const output = join(FOLDER, name)
  if (existsSync(output)) throw new Error(`${output} is there, and golden files are never made anew`)
  const random = randomFrom(seed)
  // Eight clouds, so that zones differ; values on a grid of 1/64, so that sums are exact and any reader finds the same
  // distances.
  const centres = Array.from({ length: 8 * DIM }, () => Math.round((random() * 8 - 4) * 64) / 64)
  const value = (cloud, i) => centres[cloud * DIM + i] + Math.round((random() * 2 - 1) * 64) / 64
  const draw = (count) =>
    Float32Array.from(
      Array.from({ length: count }, () => Math.floor(random() * 8)).flatMap((cloud) =>
        Array.from({ length: DIM }, (_, i) => value(cloud, i))
      )
    )
  const input = draw(COUNT)
  const queries = draw(QUERIES)
  const ids = Array.from({ length: COUNT }, (_, row) => row * 7919 + (row % 3 === 0 ? 2 ** 40 : 0))
  await buildIndex({ input, dim: DIM, ids, metric, bits, zones: 3, seed, output })
  const index = ZgqIndex.open(output)
  const { indexId, zones } = index.info()
  const searches = [
    { exact: true, k: 10 },
    { nprobe: 1, rerank: COUNT, k: 5 },
    { nprobe: zones, rerank: COUNT, k: 10 }
  ]
  const answers = Array.from({ length: QUERIES }, (_, i) => {
    const query = queries.subarray(i * DIM, (i + 1) * DIM)
    return { query: [...query], searches: searches.map((search) => ({ search, hits: index.search(query, search) })) }
  })
  index.close()
  const sha256 = Object.fromEntries(
    readdirSync(output)
      .sort()
      .map((file) => [
        file,
        createHash('sha256')
          .update(readFileSync(join(output, file)))
          .digest('hex')
      ])
  )
  writeFileSync(
    `${output}.json`,
    `${JSON.stringify({ info: { formatVersion: 1, indexId, count: COUNT, dim: DIM, metric, bits, zones }, sha256, answers }, undefined, 1)}\n`
  )
}
