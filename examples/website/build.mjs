// node examples/website/build.mjs [--data DIR] [--out DIR] [--rows N] [--index URL] [--keep]
// Makes the page: an index of WordNet's definitions, packed into one file; example sentences with their vectors; and
// the scripts, bundled. What is in the folder then is plain files.

import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { build as bundle } from 'esbuild'
import { ZgqIndex } from 'zgq'
import { buildIndex, readVectors } from 'zgq/build'
import { packIndex } from 'zgq/pack'

const HERE = import.meta.dirname
const SLICE = join(HERE, '../../test/data')
const KINDS = { noun: 'noun', verb: 'verb', adj: 'adjective', adv: 'adverb' }
const MOST_EXAMPLES = 240
/** The first queries of a set are usage examples, those behind them definitions. */
const SENTENCES = 1000
const LONGEST_EXAMPLE = 60

const { values: given } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string', default: join(HERE, 'site') },
    rows: { type: 'string' },
    index: { type: 'string', default: 'wordnet.zgqp' },
    keep: { type: 'boolean', default: false }
  }
})

const linesOf = (path) => readFileSync(path, 'utf8').trimEnd().split('\n')

/** Ids such as noun.03381784, texts and vectors of a set: of a folder, or of the slice in this repository. */
async function readSet(name, limit = Infinity) {
  const [vectorsFile, pairs] =
    given.data === undefined
      ? [join(SLICE, `wordnet.${name}.f16bin`), pairsOfSlice(name)]
      : [
          join(given.data, `${name}.f16bin`),
          linesOf(join(given.data, `${name}.texts.txt`)).map((line) => line.split('\t'))
        ]
  const { vectors, dim } = await readVectors(vectorsFile)
  const rows = pairs.slice(0, limit)
  return {
    dim,
    vectors: vectors.subarray(0, rows.length * dim),
    ids: rows.map(([id]) => id),
    texts: rows.map(([, text]) => text)
  }
}

/** The texts of the slice have files of their own; queries have no ids. */
function pairsOfSlice(name) {
  const texts = linesOf(join(SLICE, `wordnet.${name}.txt`))
  const ids = name === 'base' ? linesOf(join(SLICE, 'wordnet.base.ids.txt')) : []
  return texts.map((text, row) => [ids[row], text])
}

/** Builds the index and packs it: the index itself is no part of the page. */
async function makeIndex(folder, packed) {
  const { vectors, dim, ids, texts } = await readSet('base', given.rows === undefined ? undefined : Number(given.rows))
  const payloads = texts.map((text, row) => ({ text, kind: KINDS[ids[row].split('.')[0]] }))
  const fields = { kind: 'string' }
  await buildIndex({ input: vectors, dim, ids, payloads, fields, metric: 'cosine', output: folder, force: true })
  const { rows, digest } = await packIndex({ index: folder, output: packed, force: true })
  console.log(`${packed}: ${rows} rows, ${(statSync(packed).size / 2 ** 20).toFixed(1)} MB, digest ${digest}`)
}

/**
 * Chooses sentences that are short and have something near; first those of the slice, then by the distance of the
 * nearest definition. Their vectors become a byte a value.
 */
async function makeExamples(folder, out) {
  const { vectors, dim, texts } = await readSet('queries', SENTENCES)
  const first = linesOf(join(SLICE, 'wordnet.queries.txt'))
  const index = ZgqIndex.open(folder)
  const ranked = texts.flatMap((text, row) => {
    if (text.length > LONGEST_EXAMPLE || texts.indexOf(text) !== row) return []
    const vector = vectors.subarray(row * dim, (row + 1) * dim)
    const [{ distance }] = index.search(vector, { k: 1 })
    const rank = first.indexOf(text)
    return [{ text, vector, order: rank >= 0 ? rank - first.length : distance }]
  })
  index.close()
  const chosen = ranked.sort((a, b) => a.order - b.order).slice(0, MOST_EXAMPLES)
  const bytes = new Int8Array(chosen.length * dim)
  for (const [i, { vector }] of chosen.entries()) {
    const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    bytes.set(
      vector.map((value) => Math.round((value / largest) * 127)),
      i * dim
    )
  }
  writeFileSync(join(out, 'examples.bin'), bytes)
  return chosen.map(({ text }) => text)
}

const out = resolve(given.out)
mkdirSync(out, { recursive: true })
const packed = join(out, 'wordnet.zgqp')
const folder = `${out}.index`
await makeIndex(folder, packed)
const texts = await makeExamples(folder, out)
if (!given.keep) rmSync(folder, { recursive: true })
writeFileSync(join(out, 'examples.json'), JSON.stringify({ indexBytes: statSync(packed).size, texts }))

const common = { absWorkingDir: HERE, outdir: out, bundle: true, minify: true, format: 'esm', target: 'es2023' }
await bundle({ ...common, entryPoints: ['worker.js'], logLevel: 'warning' })
// Apart: the page loads what it needs for searching without a worker only if it is asked to.
await bundle({ ...common, entryPoints: ['page.js'], splitting: true, logLevel: 'warning' })
const page = readFileSync(join(HERE, 'index.html'), 'utf8')
writeFileSync(join(out, 'index.html'), page.replace('data-index="wordnet.zgqp"', `data-index="${given.index}"`))
copyFileSync(join(HERE, 'style.css'), join(out, 'style.css'))
console.log(`${out}: ${texts.length} example sentences; npx zgq serve ${out}`)
