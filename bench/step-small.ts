// One size in its own process: the default search and the plain exact zone scan (an index with bits: 0) at equal
// recall, A B A B.

import { join } from 'node:path'

import { stepInput, stepResult } from './child.ts'
import { loadZgq, loadZgqBuild } from './packages.ts'
import { measureSearch, summarize, type Queries, type SearchKnob, type Summary } from './queries.ts'
import { mean } from './report.ts'
import { findEffort } from './seed-engines.ts'

const ROUNDS = 7
const K = 10

export interface SmallInput {
  readonly base: string
  readonly queries: string
  readonly queryLimit: number
  readonly work: string
  readonly name: string
}

export interface SmallResult {
  readonly count: number
  /** Bits a dimension of the index with default options. */
  readonly bits: number
  /** Zones of the plain index, and how many of them reach the recall of the default search. */
  readonly zones: number
  readonly nprobe: number
  readonly recall: number
  readonly queries: number
  /** One value a round; the plain scan's is interpolated between nprobe - 1 and nprobe, linear in recall. */
  readonly autoUs: number[]
  readonly plainUs: number[]
}

const input = stepInput<SmallInput>()
const { buildIndex, openVectorFile } = await loadZgqBuild()
const { ZgqIndex } = await loadZgq()
const autoPath = join(input.work, `${input.name}-auto.zgq`)
const plainPath = join(input.work, `${input.name}-plain.zgq`)
await buildIndex({ input: input.base, output: autoPath, force: true })
await buildIndex({ input: input.base, output: plainPath, bits: 0, force: true })
const auto = ZgqIndex.open(autoPath)
const plain = ZgqIndex.open(plainPath)
const queries = readOwnTruth()
const { zones } = plain.info()
const recall = measure(auto, {}).recall
const nprobe = findEffort((effort) => measure(plain, { nprobe: effort }).recall, recall, { from: 1, to: zones })
const below = Math.max(1, nprobe - 1)
const recalls = { below: measure(plain, { nprobe: below }).recall, at: measure(plain, { nprobe }).recall }
const share =
  recalls.at === recalls.below ? 1 : Math.max(0, Math.min(1, (recall - recalls.below) / (recalls.at - recalls.below)))
const autoUs: number[] = []
const plainUs: number[] = []
for (let round = 0; round < ROUNDS; round++) {
  autoUs.push(measure(auto, {}).p50Us)
  const lower = measure(plain, { nprobe: below }).p50Us
  plainUs.push(lower + share * (measure(plain, { nprobe }).p50Us - lower))
}
const result: SmallResult = {
  count: auto.info().count,
  bits: auto.info().bits,
  zones,
  nprobe,
  recall,
  queries: queries.vectors.length,
  autoUs,
  plainUs
}
auto.close()
plain.close()
stepResult(result)

function measure(index: typeof auto, knob: SearchKnob): Summary {
  return summarize(measureSearch(index, queries, { k: K, ...knob }))
}

/** Takes the neighbours from an exact search, which the tests hold against brute force. */
function readOwnTruth(): Queries {
  const source = openVectorFile(input.queries)
  const count = Math.min(input.queryLimit, source.count)
  const vectors = Array.from({ length: count }, (_, row) => {
    const vector = new Float32Array(source.dim)
    source.readRows(row, vector)
    return vector
  })
  source.close()
  const truth = vectors.map((vector) => plain.search(vector, { k: K, exact: true }).map(({ id }) => id))
  if (mean(truth.map(({ length }) => length)) !== K) throw new Error(`an exact search found fewer than ${K}`)
  return { vectors, truth }
}
