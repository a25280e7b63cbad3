// zgq search INDEX QUERIES, or INDEX --id ID

import { writeFileSync } from 'node:fs'

import { DEFAULT_RECALL, ZgqError, ZgqIndex, type Hit, type Id, type SearchOptions } from '../src/index.ts'
import { flag, jsonFilter, oneNumber, signedNumber, text, UsageError, wholeNumber, type Given } from './arguments.ts'
import {
  FILTER_OPTION,
  INDEX,
  K_OPTION,
  QUERIES,
  QUERY_OPTIONS,
  type Command,
  type CommandArguments
} from './command.ts'
import { print, printJson } from './output.ts'
import { withQueries } from './queries.ts'
import { hitsAsJson, showId, showPayload } from './shown-values.ts'

export const SEARCH: Command = {
  name: 'search',
  summary: 'find the vectors nearest to queries, or to a stored vector',
  positionals: [INDEX, { ...QUERIES, about: `${QUERIES.about}; not with --id`, isOptional: true }],
  options: {
    k: K_OPTION,
    id: { value: 'ID', about: 'search with the stored vector of this id instead of QUERIES; it is not among the hits' },
    filter: FILTER_OPTION,
    'max-distance': {
      value: 'D',
      about: 'leave out hits that are farther away, in the metric of the index',
      library: 'maxDistance'
    },
    payload: { about: 'show the payloads of the hits' },
    recall: { value: 'R', about: 'share of the true neighbours to find, below 1 (default 0.95)' },
    nprobe: { value: 'N', about: 'zones to probe, instead of a recall' },
    exact: { about: 'compare with every vector: finds all true neighbours' },
    out: {
      value: 'FILE',
      about: 'write the ids of the hits to FILE, as .ivecs (integer ids only), instead of printing hits'
    },
    ...QUERY_OPTIONS
  },
  examples: [
    'zgq search docs.zgq queries.fbin --recall 0.99',
    "echo '[0.1, 0.2, 0.3]' | zgq search docs.zgq - --k 3",
    `zgq search notes.zgq --id a.md#0 --filter '{"draft": false}' --payload`
  ],
  run: runSearch
}

/** Hits of one query. */
type Found = readonly Hit<Id, unknown>[]

async function runSearch({ positionals: [path, queriesPath], given }: CommandArguments): Promise<void> {
  const options = readOptions(given)
  const id = text(given, 'id')
  if ((id === undefined) === (queriesPath === undefined))
    throw new UsageError(
      id === undefined ? 'expected QUERIES or --id, found neither' : 'give QUERIES or --id, not both'
    )
  if (id === undefined) {
    await withQueries({ path, queriesPath, given }, (index, queries) => {
      checkOut(index, given)
      const found: Found[] = []
      for (let row = 0; row < queries.count; row++) found.push(index.search(queries.read(row), options))
      report(found, { options, given })
    })
    return
  }
  const unused = ['column', 'format'].find((name) => given[name] !== undefined)
  if (unused !== undefined) throw new UsageError(`--${unused} is for QUERIES, not for --id`)
  const index = ZgqIndex.open<Id>(path)
  try {
    checkOut(index, given)
    const query = { id: idOf(id, index) }
    report([index.search(query, options)], { options, given, id: query.id })
  } finally {
    index.close()
  }
}

function readOptions(given: Given): Omit<SearchOptions, 'explain'> {
  const ways = ['recall', 'nprobe', 'exact'].filter((name) => given[name] !== undefined).map((name) => `--${name}`)
  if (ways.length > 1) throw new UsageError(`give one of --recall, --nprobe and --exact, found ${ways.join(' and ')}`)
  const hasPayloads = flag(given, 'payload')
  if (hasPayloads && given['out'] !== undefined) throw new UsageError('--out cannot hold payloads: leave out --payload')
  return {
    k: wholeNumber(given, 'k') ?? 10,
    nprobe: wholeNumber(given, 'nprobe'),
    recall: oneNumber(given, 'recall'),
    exact: flag(given, 'exact'),
    filter: jsonFilter(given, 'filter'),
    maxDistance: signedNumber(given, 'max-distance'),
    payload: hasPayloads
  }
}

/** Reads an id of the kind that the index has. */
function idOf(word: string, index: ZgqIndex<Id>): Id {
  if (index.info().ids === 'string') return word
  if (!/^\d+$/.test(word)) throw new UsageError(`--id must be a whole number: ids of this index are; found ${word}`)
  return Number(word)
}

/** Before the search: what cannot be written need not be found. */
function checkOut(index: ZgqIndex<Id>, given: Given): void {
  const path = text(given, 'out')
  if (path === undefined || index.info().ids === 'integer') return
  throw new ZgqError('ZGQ_UNSUPPORTED', '.ivecs files have integers, the index has string ids; use --json', { path })
}

interface Asked {
  readonly options: Omit<SearchOptions, 'explain'>
  readonly given: Given
  /** Of the stored vector that was the query. */
  readonly id?: Id
}

function report(found: readonly Found[], { options, given, id }: Asked): void {
  const { k, exact } = options
  const out = text(given, 'out')
  if (out !== undefined) writeIvecs(out, found)
  const nprobe = options.nprobe ?? null
  const recall = exact === true || nprobe !== null ? null : (options.recall ?? DEFAULT_RECALL)
  if (flag(given, 'json')) {
    const queries = found.map((hits) => ({ ...(id === undefined ? {} : { id }), hits: hitsAsJson(hits) }))
    printJson({ k, nprobe, recall, exact, queries })
  } else if (out === undefined)
    found.forEach((hits, row) => {
      print(`${id === undefined ? row : showId(id)}:${describeHits(hits, options.payload === true)}`)
    })
}

/** Hits one behind the other, or with payloads a line each. */
function describeHits(hits: Found, hasPayloads: boolean): string {
  const shown = hits.map((hit) => `${showId(hit.id)} (${hit.distance.toPrecision(6)})`)
  if (!hasPayloads) return ` ${shown.join(', ')}`
  return shown.map((text, i) => `\n  ${text} ${showPayload(hits[i].payload)}`).join('')
}

/** Writes the ids of each query's hits: int32 length, then int32 ids. */
function writeIvecs(path: string, found: readonly Found[]): void {
  const rows = found.map((hits) => {
    const ids = hits.map(({ id }) => Number(id))
    const tooLarge = ids.find((id) => id > 0x7fffffff)
    if (tooLarge !== undefined)
      throw new ZgqError(
        'ZGQ_UNSUPPORTED',
        `id ${tooLarge} does not fit an .ivecs file, which has 32-bit integers; use --json`,
        { path }
      )
    return Int32Array.of(ids.length, ...ids)
  })
  try {
    writeFileSync(path, Buffer.concat(rows.map((row) => Buffer.from(row.buffer))))
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    throw new ZgqError(
      isMissing ? 'ZGQ_NOT_FOUND' : 'ZGQ_IO',
      `cannot write the hits: ${cause instanceof Error ? cause.message : String(cause)}`,
      { path, cause }
    )
  }
}
