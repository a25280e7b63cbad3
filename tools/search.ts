// zgq search INDEX QUERIES

import { writeFileSync } from 'node:fs'

import { DEFAULT_RECALL, ZgqError, type Hit, type SearchOptions } from '../src/index.ts'
import { oneNumber, text, UsageError, wholeNumber } from './arguments.ts'
import { INDEX, K_OPTION, QUERIES, QUERY_OPTIONS, type Command, type CommandArguments } from './command.ts'
import { print, printJson } from './output.ts'
import { withQueries } from './queries.ts'

export const SEARCH: Command = {
  name: 'search',
  summary: 'find the vectors nearest to queries',
  positionals: [INDEX, QUERIES],
  options: {
    k: K_OPTION,
    recall: { value: 'R', about: 'share of the true neighbours to find, below 1 (default 0.95)' },
    nprobe: { value: 'N', about: 'zones to probe, instead of a recall' },
    exact: { about: 'compare with every vector: finds all true neighbours' },
    out: { value: 'FILE', about: 'write the ids of the hits to FILE, as .ivecs, instead of printing hits' },
    ...QUERY_OPTIONS
  },
  examples: ['zgq search docs.zgq queries.fbin --recall 0.99', "echo '[0.1, 0.2, 0.3]' | zgq search docs.zgq - --k 3"],
  run: runSearch
}

async function runSearch({ positionals: [path, queriesPath], given }: CommandArguments): Promise<void> {
  const k = wholeNumber(given, 'k') ?? 10
  const exact = given['exact'] === true
  const options: Omit<SearchOptions, 'explain'> = {
    k,
    nprobe: wholeNumber(given, 'nprobe'),
    recall: oneNumber(given, 'recall'),
    exact
  }
  const ways = ['recall', 'nprobe', 'exact'].filter((name) => given[name] !== undefined).map((name) => `--${name}`)
  if (ways.length > 1) throw new UsageError(`give one of --recall, --nprobe and --exact, found ${ways.join(' and ')}`)
  const out = text(given, 'out')
  await withQueries({ path, queriesPath, given }, (index, queries) => {
    const found: Hit[][] = []
    for (let row = 0; row < queries.count; row++) found.push(index.search(queries.read(row), options))
    if (out !== undefined) writeIvecs(out, found)
    const nprobe = options.nprobe ?? null
    const recall = exact || nprobe !== null ? null : (options.recall ?? DEFAULT_RECALL)
    if (given['json'] === true) printJson({ k, nprobe, recall, exact, queries: found.map((hits) => ({ hits })) })
    else if (out === undefined)
      found.forEach((hits, row) => {
        print(`${row}: ${hits.map((hit) => `${hit.id} (${hit.distance.toPrecision(6)})`).join(', ')}`)
      })
  })
}

/** Writes the ids of each query's hits: int32 length, then int32 ids. */
function writeIvecs(path: string, found: readonly (readonly Hit[])[]): void {
  const rows = found.map((hits) => {
    const tooLarge = hits.find((hit) => hit.id > 0x7fffffff)
    if (tooLarge !== undefined)
      throw new ZgqError(
        'ZGQ_UNSUPPORTED',
        `id ${tooLarge.id} does not fit an .ivecs file, which has 32-bit integers; use --json`,
        { path }
      )
    const row = new Int32Array(hits.length + 1)
    row[0] = hits.length
    hits.forEach((hit, i) => {
      row[i + 1] = hit.id
    })
    return row
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
