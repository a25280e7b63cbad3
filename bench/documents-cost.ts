// npm run documents -- --data DIR: what documents cost. Build time and size of an index of the same vectors alone, with
// string ids, with payloads, and with declared fields; look-ups by id; and searches without a filter in turn.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet, type DataSet } from './data-sets.ts'
import { prepareFilterSet, queryRange } from './filter-sets.ts'
import { findNode, nodeVersion } from './nodes.ts'
import { packageVersion } from './packages.ts'
import { endReport, MIB, printTable, showMib, showSpread, startReport } from './report.ts'
import type { FieldsBuildInput, FieldsBuildResult } from './step-fields-build.ts'
import type { IdsInput, IdsResult } from './step-ids.ts'

type Variant = Pick<FieldsBuildInput, 'ids' | 'documents'> & { readonly name: string }
interface BuiltVariant {
  readonly value: FieldsBuildResult
  readonly peakRss: number
}
const VARIANTS: readonly Variant[] = [
  { name: 'integer ids', ids: 'integer', documents: 'none' },
  { name: 'string ids', ids: 'string', documents: 'none' },
  { name: 'integer ids, payloads', ids: 'integer', documents: 'payloads' },
  { name: 'integer ids, payloads, fields', ids: 'integer', documents: 'fields' },
  { name: 'string ids, payloads, fields', ids: 'string', documents: 'fields' }
]
const KINDS = ['all', 'vectors', 'codes', 'catalogue', 'payload', 'fields', 'ids']

const options = readOptions(['data', 'sets', 'queries', 'rounds', 'only', 'node'], ['rebuild'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const node = findNode(options.text['node'])
const only = options.text['only']?.split(',').map(Number) ?? VARIANTS.map((_, i) => i)
const variants = only.map((i) => VARIANTS[i])
const machine = startReport('What documents cost')
const results: Record<string, { built: Record<string, BuiltVariant>; ids: IdsResult }> = {}
for (const name of (options.text['sets'] ?? 'sift10k').split(','))
  results[name] = await measureSet(await findDataSet(name, data, options.work))
endReport(machine, { node: nodeVersion(node), results }, options.json)

async function measureSet(set: DataSet): Promise<{ built: Record<string, BuiltVariant>; ids: IdsResult }> {
  const range = queryRange(set, readCount(options, 'queries', 200))
  const { labels, truth, folder } = await prepareFilterSet(set, range, options.work)
  const built: Record<string, BuiltVariant> = {}
  for (const variant of variants) {
    const output = indexOf(folder, variant)
    const input: FieldsBuildInput = { base: set.base, metric: set.metric, labels, output, ...variant }
    built[variant.name] = await build(input)
  }
  console.log(`## ${set.name}, Node ${nodeVersion(node)}\n`)
  printTable(
    ['index', 'build s', 'peak RSS MiB', ...KINDS.map((kind) => (kind === 'all' ? 'MiB' : kind))],
    Object.entries(built).map(([name, { value, peakRss }]) => [
      name,
      value.seconds.toFixed(1),
      showMib(peakRss),
      ...KINDS.map((kind) => ((value.bytes[kind] ?? 0) / MIB).toFixed(1))
    ])
  )
  const input: IdsInput = {
    truth,
    indexes: variants.map((variant) => ({ ...variant, folder: indexOf(folder, variant) })),
    rounds: readCount(options, 'rounds', 7)
  }
  const { value: ids } = await runStep<IdsResult>('step-ids.ts', input, { node })
  printTable(
    ['index', 'has us', 'get us', 'document us', 'first three get us', 'search us', '/ integer ids alone', 'recall'],
    ids.map((row) => [
      row.name,
      row.hasUs.toFixed(2),
      row.getUs.toFixed(2),
      row.documentUs.toFixed(2),
      row.firstUs.map((micros) => micros.toFixed(0)).join(', '),
      row.searchUs.toFixed(1),
      showSpread(row.ratio, 2),
      row.recall.toFixed(4)
    ])
  )
  return { built, ids }
}

function indexOf(folder: string, { name }: Variant): string {
  return join(folder, `${name.replaceAll(/\W+/g, '-')}.zgq`)
}

/** Builds, unless it is there from the same code. */
async function build(input: FieldsBuildInput): Promise<BuiltVariant> {
  const record = `${input.output}.built.json`
  const version = packageVersion('zgq')
  if (existsSync(record) && !options.flags.has('rebuild')) {
    const known: BuiltVariant & { version: string } = JSON.parse(readFileSync(record, 'utf8'))
    if (known.version === version) return known
  }
  mkdirSync(join(input.output, '..'), { recursive: true })
  const { value, peaks } = await runStep<FieldsBuildResult>('step-fields-build.ts', input, { node })
  writeFileSync(record, JSON.stringify({ version, value, peakRss: peaks.rss }))
  return { value, peakRss: peaks.rss }
}
