// zgq inspect INDEX: what is in an index, as text, as JSON or as a page.

import { countOf, formatCount } from '../src/describe.ts'
import { ZgqIndex, type Calibration, type ChangesInfo, type FieldSummary, type IndexInfo } from '../src/index.ts'
import { text } from './arguments.ts'
import { INDEX, JSON_OPTION, type Command, type CommandArguments } from './command.ts'
import { describeFields, payloadBytesOf } from './field-text.ts'
import { makePage } from './inspect-html.ts'
import { formatBytes, formatRecall, formatTable, print, printJson } from './output.ts'
import { changesOf, plainJson, showPayload } from './shown-values.ts'
import { writePage } from './write-page.ts'

export const INSPECT: Command = {
  name: 'inspect',
  summary: 'show what is in an index, as text, as JSON or as a page',
  positionals: [INDEX],
  options: { html: { value: 'FILE', about: 'write a page for a browser, instead of the text' }, json: JSON_OPTION },
  examples: ['zgq inspect docs.zgq --html docs.html'],
  run: runInspect
}

function runInspect({ positionals: [path], given }: CommandArguments): void {
  const page = text(given, 'html')
  const index = ZgqIndex.open(path)
  try {
    const info = index.info()
    const fields = Object.keys(info.fields).map((name) => index.fieldSummary(name))
    if (page !== undefined) {
      const bytes = writePage(page, {
        index: info.path,
        html: makePage({ info, fields, zones: index.zones(), build: plain(info.build) })
      })
      if (given['json'] !== true) print(`wrote ${page}, ${formatBytes(bytes)}: open it in a browser`)
    }
    if (given['json'] === true) printJson({ ...toJson(info, fields), ...(page === undefined ? {} : { html: page }) })
    else if (page === undefined) print(describe(info, fields))
  } finally {
    index.close()
  }
}

/** Facts that JSON has, in this order. */
const JSON_FACTS = [
  'path',
  'formatVersion',
  'indexId',
  'generation',
  'count',
  'dim',
  'metric',
  'bits',
  'zones',
  'bytes',
  'packed',
  'changes',
  'zoneRows',
  'files',
  'build',
  'reader',
  'sqlite',
  'kernel',
  'calibration',
  'plan',
  'warnings',
  'ids'
] satisfies (keyof IndexInfo)[]

function toJson(info: IndexInfo, fields: readonly FieldSummary[]): object {
  const facts = JSON_FACTS.map((name) => [name, name === 'build' ? plain(info.build) : info[name]])
  const { model, note } = info
  return {
    ...Object.fromEntries(facts),
    model: model ?? null,
    note: plainJson(note) ?? null,
    payloadBytes: payloadBytesOf(info),
    fields: plainJson(fields)
  }
}

/** What was written since the zones were made. */
function describeChanges(changes: ChangesInfo): string {
  const parts = changesOf(changes).flatMap(([name, rows]) => (rows === 0 ? [] : [`${countOf(rows, 'row')} ${name}`]))
  return `${countOf(changes.commit, 'commit')}; ${parts.length === 0 ? 'no row is left of them' : parts.join(', ')}`
}

function describeSize({ bytes, files, packed }: IndexInfo): string {
  if (packed === null) return `${formatBytes(bytes)} in ${countOf(files.length + 1, 'file')}`
  return `${formatBytes(bytes)}, packed into ${packed.layout === 'file' ? 'one file' : 'a folder of parts'}`
}

function describe(info: IndexInfo, fields: readonly FieldSummary[]): string {
  const { zoneRows } = info
  const payloadBytes = payloadBytesOf(info)
  const facts = [
    ['vectors', `${formatCount(info.count)} of ${countOf(info.dim, 'dimension')}, ${info.metric}`],
    [
      'zones',
      info.zones === 0
        ? 'none: no build has made them'
        : zoneRows.min === zoneRows.max
          ? `${formatCount(info.zones)} of ${countOf(zoneRows.max, 'row')}`
          : `${formatCount(info.zones)} of ${zoneRows.min} to ${zoneRows.max} rows, mean ${zoneRows.mean.toFixed(1)}`
    ],
    ...(info.changes.commit === 0 ? [] : [['changes', describeChanges(info.changes)]]),
    ['size', describeSize(info)],
    ...(info.ids === 'string' ? [['ids', 'strings']] : []),
    ...(payloadBytes === 0 ? [] : [['payloads', formatBytes(payloadBytes)]]),
    ...(info.model === undefined ? [] : [['model', info.model]]),
    ...(info.note === undefined ? [] : [['note', showPayload(info.note)]]),
    ['codes', info.bits === 0 ? 'none (exact scan)' : `${countOf(info.bits, 'bit')} a dimension`],
    [
      'recall',
      info.calibration === null ? 'not calibrated' : `calibrated, up to ${formatRecall(info.calibration.highestRecall)}`
    ],
    ['search', `${info.plan.kind}: ${info.plan.reason}`],
    ...info.warnings.map((warning) => ['warning', warning]),
    ['index id', `${info.indexId}, generation ${info.generation}, format ${info.formatVersion}`],
    ['reader', `${info.reader.kind} (${info.reader.reason}), ${info.kernel} kernel`],
    info.packed === null
      ? ['sqlite', `${info.sqlite.driver}, SQLite ${info.sqlite.version} (${info.sqlite.reason})`]
      : ['digest', info.packed.digest],
    ...(Object.keys(info.build).length === 0
      ? []
      : [
          [
            'build',
            Object.entries(plain(info.build))
              .map(([key, value]) => `${key} ${String(value)}`)
              .join(', ')
          ]
        ])
  ]
    .map(([name, value]) => `  ${name.padEnd(8)}  ${value}`)
    .join('\n')
  const most = Math.max(...zoneRows.histogram.map((bin) => bin.zones))
  const bars = zoneRows.histogram.map((bin) => [
    bin.to - bin.from === 1 ? `${bin.from}` : `${bin.from}-${bin.to - 1}`,
    '#'.repeat(Math.ceil((bin.zones / most) * 40)),
    formatCount(bin.zones)
  ])
  const width = Math.max(...bars.map(([label]) => label.length))
  const histogram = bars
    .map(([label, bar, zones]) => `  ${label.padStart(width)} ${label === '1' ? 'row ' : 'rows'}  ${bar} ${zones}`)
    .join('\n')
  const files = info.files.map((file) => `  ${file.name}  ${formatBytes(file.bytes)}`).join('\n')
  const calibration = info.calibration === null ? '' : `\n\n${describeCalibration(info.calibration)}`
  const values = fields.length === 0 ? '' : `\n\nfields\n${describeFields(fields)}`
  const zones = info.zones === 0 ? '' : `zones by size\n${histogram}\n\n`
  const first = info.packed === null ? 'files\n  catalogue.sqlite' : 'parts\n  head and centroids'
  const sizes = `${zones}${first}\n${files}`
  return `${info.path}\n${facts}${values}${calibration}\n\n${sizes}`
}

/**
 * The curve of a calibration as a table: for each k the zones that a recall takes in the mean, and the recall that was
 * measured.
 */
export function describeCalibration(calibration: Calibration): string {
  const { curves, source, queries, confidence } = calibration
  const from = source === 'base' ? `${countOf(queries, 'row')} of the index` : countOf(queries, 'query')
  const recalls = [...new Set(curves.flatMap((curve) => curve.points.map((point) => point.recall)))].sort(
    (a, b) => a - b
  )
  const head = ['recall', ...curves.flatMap(({ k }) => [`zones, k=${k}`, 'measured'])]
  const rows = recalls.map((recall) => [
    formatRecall(recall),
    ...curves.flatMap(({ points }) => {
      const point = points.find((candidate) => candidate.recall === recall)
      return point === undefined ? ['', ''] : [point.zones.toFixed(1), point.mean.toFixed(4)]
    })
  ])
  return (
    `calibration by ${from}; each recall is the lower bound at ${confidence * 100} % of the measured ` +
    `one\n${formatTable([head, ...rows]).replace(/^/gm, '  ')}`
  )
}

/** Bytes as hex, for people and for JSON. */
function plain(build: IndexInfo['build']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(build).map(([key, value]) => [
      key,
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
    ])
  )
}
