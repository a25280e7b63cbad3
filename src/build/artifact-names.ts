// Names of what the tasks of a build leave, and what each task is made from. A name says its kind and its number, and
// in a hash the recipe and the names of its inputs: so it means the same bytes on every machine, and a build that goes
// on, or another of the same, finds what is done. Times, processes and paths play no part in it.

import { createHash } from 'node:crypto'

import { isEarlyRound, planSample, roundCount } from './sample-blocks.ts'
import { partCount, type Recipe } from './site.ts'

/** A task that leaves one artifact. */
export type ArtifactTask =
  /** Looks for ids that stand twice. */
  | { readonly kind: 'check-ids' }
  /** Reads a block of the sample. */
  | { readonly kind: 'sample'; readonly block: number }
  /** Finds the origin and the first centroids: round 0. */
  | { readonly kind: 'begin' }
  /** Sums up the rows of a block by their nearest centroids in a round. */
  | { readonly kind: 'partial'; readonly round: number; readonly block: number }
  /** Joins the sums of all blocks of a round into the centroids of the next. */
  | { readonly kind: 'round'; readonly round: number }
  /** Puts the trained zones into their order and plans the shards. */
  | { readonly kind: 'order' }
  /** Finds the zones of the rows of a part of the input. */
  | { readonly kind: 'assign'; readonly part: number }
  /** Counts the rows of all zones, and names the input by a digest. */
  | { readonly kind: 'tally' }
  /** Writes the zones of a shard. */
  | { readonly kind: 'write'; readonly shard: number }
  /** Finds the k nearest rows of a shard for the queries of a calibration, which an artifact has. */
  | { readonly kind: 'scan'; readonly shard: number; readonly queries: string; readonly k: number }

/** An artifact that a task reads: all of its files, or some. */
export interface ArtifactInput {
  readonly name: string
  readonly files?: readonly string[]
}

const HASH_DIGITS = 16
const NUMBER_DIGITS = 5

/** Files of artifacts. */
export const SAMPLE_FILES = { rows: 'rows', early: 'early', centre: 'centre', firsts: 'firsts' }
export const FACTS_NAME = 'facts.json'
/** Queries as float32, count * dim; neighbours as stored-neighbours.ts has them. */
export const QUERIES_NAME = 'vectors'
export const NEIGHBOURS_NAME = 'neighbours'

/** The names of the artifacts of one recipe. */
export class ArtifactNames {
  readonly #recipe: Recipe
  readonly #base: string
  readonly #rounds = new Map<number, string>()
  #assigned: string | undefined

  constructor(recipe: Recipe) {
    this.#recipe = recipe
    // How many rows a part has changes no byte of the index, but what is in a part.
    this.#base = hashOf([recipe.identity, String(recipe.rowsPerPart)])
  }

  get uniqueIds(): string {
    return this.#name('ids-checked', undefined, [])
  }

  sample(block: number): string {
    return this.#name('sample', block, [])
  }

  /** Centroids that a round begins with; those of the round after the last are the trained ones. */
  round(round: number): string {
    const known = this.#rounds.get(round)
    if (known !== undefined) return known
    const { blocks } = planSample(this.#recipe)
    const numbers = Array.from({ length: blocks }, (_, block) => block)
    const inputs =
      round === 0
        ? numbers.map((block) => this.sample(block))
        : [this.round(round - 1), ...numbers.map((block) => this.partial(round - 1, block))]
    const name = this.#name('round', round, inputs)
    this.#rounds.set(round, name)
    return name
  }

  partial(round: number, block: number): string {
    return this.#name(`partial-${round}`, block, [this.round(round), this.sample(block)])
  }

  get trained(): string {
    return this.#name('trained', undefined, [this.round(roundCount(this.#recipe))])
  }

  part(part: number): string {
    return this.#name('part', part, [this.trained])
  }

  get assigned(): string {
    this.#assigned ??= this.#name(
      'assigned',
      undefined,
      Array.from({ length: partCount(this.#recipe) }, (_, part) => this.part(part))
    )
    return this.#assigned
  }

  shard(shard: number): string {
    return this.#name('shard', shard, [this.trained, this.assigned])
  }

  /** Queries of a calibration, by what they are. */
  queries(vectors: Uint8Array): string {
    return this.#name('queries', undefined, [createHash('sha256').update(vectors).digest('hex')])
  }

  scanned({ shard, queries, k }: { readonly shard: number; readonly queries: string; readonly k: number }): string {
    return this.#name('scanned', shard, [this.shard(shard), queries, String(k)])
  }

  #name(kind: string, number: number | undefined, inputs: readonly string[]): string {
    const numbered = number === undefined ? kind : `${kind}-${String(number).padStart(NUMBER_DIGITS, '0')}`
    return `${numbered}-${hashOf([this.#base, numbered, ...inputs]).slice(0, HASH_DIGITS)}`
  }
}

function hashOf(parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex')
}

const KNOWN = new WeakMap<Recipe, ArtifactNames>()

export function namesOf(recipe: Recipe): ArtifactNames {
  const known = KNOWN.get(recipe) ?? new ArtifactNames(recipe)
  KNOWN.set(recipe, known)
  return known
}

/** Returns the name of the artifact that a task leaves. */
export function outputOf(recipe: Recipe, task: ArtifactTask): string {
  const names = namesOf(recipe)
  switch (task.kind) {
    case 'check-ids':
      return names.uniqueIds
    case 'sample':
      return names.sample(task.block)
    case 'begin':
      return names.round(0)
    case 'partial':
      return names.partial(task.round, task.block)
    case 'round':
      return names.round(task.round + 1)
    case 'order':
      return names.trained
    case 'assign':
      return names.part(task.part)
    case 'tally':
      return names.assigned
    case 'write':
      return names.shard(task.shard)
    case 'scan':
      return names.scanned(task)
  }
}

/** Lists the artifacts that a task reads. */
export function inputsOf(recipe: Recipe, task: ArtifactTask): ArtifactInput[] {
  const names = namesOf(recipe)
  const { blocks, hasEarly } = planSample(recipe)
  const ofAll = (count: number, input: (number: number) => ArtifactInput): ArtifactInput[] =>
    Array.from({ length: count }, (_, number) => input(number))
  switch (task.kind) {
    case 'check-ids':
    case 'sample':
      return []
    case 'begin':
      return ofAll(blocks, (block) => ({
        name: names.sample(block),
        files: [SAMPLE_FILES.centre, SAMPLE_FILES.firsts]
      }))
    case 'partial': {
      const isEarly = hasEarly && isEarlyRound(task.round)
      return [
        { name: names.round(task.round) },
        { name: names.sample(task.block), files: [isEarly ? SAMPLE_FILES.early : SAMPLE_FILES.rows] }
      ]
    }
    case 'round':
      return [
        { name: names.round(task.round) },
        ...ofAll(blocks, (block) => ({ name: names.partial(task.round, block) }))
      ]
    case 'order':
      return [{ name: names.round(roundCount(recipe)) }]
    case 'assign':
      return [{ name: names.trained }]
    case 'tally':
      return ofAll(partCount(recipe), (part) => ({ name: names.part(part), files: [FACTS_NAME] }))
    case 'write':
      return [
        { name: names.trained },
        { name: names.assigned },
        ...ofAll(partCount(recipe), (part) => ({ name: names.part(part), files: [partFileName(task.shard)] }))
      ]
    case 'scan':
      return [{ name: names.shard(task.shard) }, { name: task.queries }]
  }
}

/** Name of the file of a part that has the rows of a shard. */
export function partFileName(shard: number): string {
  return `rows-${String(shard).padStart(NUMBER_DIGITS, '0')}`
}
