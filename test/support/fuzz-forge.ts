// Random forgeries: changes some fields of some records of an index, at times after it was made into another legal one,
// and leaves all checksums good. What it does is decided by its random numbers alone.

import type { DataFile } from './forge/data-file.ts'
import { COLUMN } from './forge/extent.ts'
import type { Fields } from './forge/fields.ts'
import { moveToGeneration, rechunk, splitSegment, turnRows } from './forge/legal.ts'
import type { Parts } from './forge/parts.ts'

type Random = () => number
type AnyFields = Fields<string>

const PAGE = 4096
const INTEGERS = [
  0n,
  1n,
  2n,
  31n,
  32n,
  63n,
  64n,
  PAGE - 1,
  PAGE,
  2 * PAGE,
  2n ** 16n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 40n,
  2n ** 50n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  -1n,
  -4096n
]
const DOUBLES = [0, -0, 1, -1, 0.5, NaN, Infinity, -Infinity, 1e308, -1e308, 1e-308, 5e-324, 3e38, 1e-45, 1e17, 1e9]
const below = (random: Random, count: number): number => Math.floor(random() * count)
const pick = <T>(random: Random, values: readonly T[]): T => values[below(random, values.length)]

/** Records of one kind: a change may take a value from another one of them. */
interface Kind {
  readonly name: string
  readonly records: readonly AnyFields[]
}

const anyOf = (records: readonly unknown[]): AnyFields[] => records as AnyFields[]

/** Where directories and footers are asked for, they do not follow the catalogue any more: seldom. */
function kindsOf(parts: Parts, random: Random): Kind[] {
  const kinds: Kind[] = [
    { name: 'index', records: anyOf([parts.index]) },
    { name: 'file', records: anyOf(parts.files) },
    { name: 'segment', records: anyOf(parts.segments) },
    { name: 'segment', records: anyOf(parts.segments) },
    { name: 'header', records: anyOf(parts.data.map(({ header }) => header)) },
    ...(['vectors', 'codes'] as const)
      .filter((kind) => kind === 'vectors' || parts.bits > 0)
      .flatMap((kind) => {
        const extents = parts.placed.map((i) => parts.extent(i, kind))
        return [
          { name: `columns header in ${kind}`, records: anyOf(extents.map(({ header }) => header)) },
          { name: `column entry in ${kind}`, records: anyOf(extents.flatMap(({ entries }) => entries)) }
        ]
      })
  ]
  if (parts.meta.has('quantizer')) kinds.push({ name: 'quantizer', records: anyOf([parts.quantizer.header]) })
  if (parts.meta.has('calibration')) {
    const { header, points } = parts.calibration
    kinds.push({ name: 'calibration', records: anyOf([header]) }, { name: 'point', records: anyOf(points) })
  }
  if (random() < 0.1) {
    const { entries } = parts.file('vectors').directory
    kinds.push({ name: 'directory entry', records: anyOf(entries.map(({ fields }) => fields)) })
  }
  return kinds
}

/** Sets one field of one record to something interesting. */
function changeField(parts: Parts, random: Random): string {
  const { name, records } = pick(random, kindsOf(parts, random))
  const at = below(random, records.length)
  const record = records[at]
  const field = pick(random, record.names)
  const { type } = record.structure.fields[field]
  const before = record.bytesOf(field).slice()
  const current = type.startsWith('bytes') ? 0 : record.get(field)
  const choice = below(random, 5)
  const other = pick(random, records)
  if (type.startsWith('bytes') || choice === 0) {
    const bytes = record.bytesOf(field)
    for (let i = 0; i < bytes.byteLength; i++) bytes[i] = below(random, 256)
  } else if (choice === 1) {
    record.set(field, other.bytesOf(field))
  } else if (choice === 2 && Number.isFinite(current)) {
    const changed = current + pick(random, [1, -1, 2, 8, 64, -64, PAGE, -PAGE, current, -Math.floor(current / 2)])
    record.set(field, type === 'f64' ? current * pick(random, [0.5, 2, -1, 1 + 1e-9]) : Math.trunc(changed))
  } else if (choice === 3) {
    // A value of another field.
    const from = pick(random, record.names)
    const value = record.bytesOf(from)
    record.bytesOf(field).set(value.subarray(0, Math.min(value.byteLength, before.byteLength)))
  } else {
    record.set(field, type === 'f64' ? pick(random, DOUBLES) : pick(random, INTEGERS))
  }
  return `${field} of ${name} ${at}: ${hex(before)} to ${hex(record.bytesOf(field))}`
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** Exchanges, repeats or removes whole records. */
function changeRecords(parts: Parts, random: Random): string {
  const name = pick(random, ['files', 'segments'] as const)
  const records: { bytes: Uint8Array; copy(): unknown }[] = parts[name]
  const [a, b] = [below(random, records.length), below(random, records.length)]
  const what = pick(random, ['exchanged', 'copied', 'removed', 'repeated', 'renumbered'] as const)
  if (what === 'exchanged') {
    const bytes = records[a].bytes.slice()
    records[a].bytes.set(records[b].bytes)
    records[b].bytes.set(bytes)
  } else if (what === 'copied') {
    records[a].bytes.set(records[b].bytes)
  } else if (what === 'removed') {
    records.splice(a, 1)
  } else {
    const other = (name === 'files' ? parts.files[a] : parts.segments[a]).copy() as Fields<'file' | 'segment'>
    if (what === 'renumbered') other.set(name === 'files' ? 'file' : 'segment', 1000)
    ;(parts[name] as unknown[]).push(other)
  }
  if (random() < 0.7) parts.recount()
  return `${name} ${a} and ${b} ${what}`
}

/** Tells fewer or more rows of a segment, in all places that say so. */
function changeRowCount(parts: Parts, random: Random): string {
  const at = pick(random, parts.placed)
  const record = parts.segments[at]
  const rowCount = pick(random, [1, 31, 32, 33, record.get('rowCount') - 1, record.get('rowCount') + 1, 2 ** 31 - 1])
  record.change({ rowCount, rowsByteLength: rowCount * parts.dim * 4 })
  const kinds = parts.bits > 0 ? (['vectors', 'codes'] as const) : (['vectors'] as const)
  for (const kind of kinds) {
    const extent = parts.extent(at, kind)
    extent.header.set('rowCount', rowCount)
    if (random() < 0.7) extent.entry(COLUMN.ids).set('byteLength', rowCount * 8)
  }
  parts.recount()
  return `${rowCount} rows of segment ${at}`
}

/** Changes a value of four or eight bytes in a column, the rows, centroids, or what else is no record. */
function changeValue(parts: Parts, random: Random): string {
  const at = pick(random, parts.placed)
  const places: [string, () => DataView][] = [
    ...Array.from({ length: 3 }, (): [string, () => DataView] => [
      `rows of segment ${at}`,
      () => viewOf(parts.rows(at))
    ]),
    ['a centroid', () => viewOf(pick(random, parts.centroids))],
    ['codes of centroids', () => viewOf(parts.zoneCodes)],
    ['the quantizer', () => viewOf(parts.meta.get('quantizer') ?? new Uint8Array(8))],
    ['the calibration', () => viewOf(parts.meta.get('calibration') ?? new Uint8Array(8))],
    ['the build', () => viewOf(parts.meta.get('build') ?? new Uint8Array(8))],
    ...parts
      .extent(at, 'vectors')
      .entries.map((entry): [string, () => DataView] => [
        `column ${entry.get('kind')} of segment ${at}`,
        () => parts.extent(at, 'vectors').column(entry.get('kind'))
      ]),
    ...(parts.bits === 0
      ? []
      : parts
          .extent(at, 'codes')
          .entries.map((entry): [string, () => DataView] => [
            `column ${entry.get('kind')} of the codes of segment ${at}`,
            () => parts.extent(at, 'codes').column(entry.get('kind'))
          ]))
  ]
  const [name, make] = pick(random, places)
  const view = make()
  if (view.byteLength < 8) return `nothing of ${name}`
  const offset = below(random, Math.floor(view.byteLength / 4) - 1) * 4
  const kind = below(random, 4)
  if (kind <= 1) view.setFloat32(offset, pick(random, DOUBLES), true)
  else if (kind === 2) view.setBigUint64(offset, BigInt.asUintN(64, BigInt(pick(random, INTEGERS))), true)
  else for (let i = 0; i < 4; i++) view.setUint8(offset + i, below(random, 256))
  return `byte ${offset} of ${name}`
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array | Float32Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}

/** Changes a chunk as it is written. */
function changeChunk(parts: Parts, random: Random): string {
  const table = pick(random, ['files', 'segments', 'zones', 'zone_codes'] as const)
  const what = pick(random, ['first', 'count', 'longer', 'shorter', 'twice'] as const)
  const value = BigInt.asIntN(64, BigInt(pick(random, INTEGERS)))
  const at = random()
  parts.changeChunks((chunks) => {
    const chunk = chunks[table].at(Math.floor(at * chunks[table].length))
    if (chunk === undefined) return
    const bytes = Buffer.from(chunk.records instanceof Uint8Array ? chunk.records : [])
    if (what === 'first' || what === 'count') chunk[what] = value
    else if (what === 'longer') chunk.records = Buffer.concat([bytes, bytes.subarray(0, Math.floor(at * 200))])
    else if (what === 'shorter') chunk.records = bytes.subarray(0, Math.floor(at * bytes.byteLength))
    else chunks[table].push({ ...chunk, first: Number(chunk.first) + Number(chunk.count) })
  })
  return `chunk of ${table}: ${what} (${value})`
}

/** Changes the footer, or the length of a value of meta. */
function changeOther(parts: Parts, random: Random): string {
  if (random() < 0.4) {
    const [field, value] = [
      pick(random, ['directoryOffset', 'directoryByteLength', 'segmentCount', 'supersededCount'] as const),
      pick(random, INTEGERS)
    ]
    parts.file('vectors').changeFooter((footer) => {
      footer.set(field, value)
    })
    return `${field} of the footer: ${value}`
  }
  const key = pick(random, [...parts.meta.keys()])
  const value = parts.meta.get(key) ?? new Uint8Array(0)
  const byteLength = pick(random, [0, 1, value.byteLength - 1, value.byteLength + 1, below(random, value.byteLength)])
  const bytes = new Uint8Array(Math.max(0, byteLength))
  bytes.set(value.subarray(0, bytes.byteLength))
  parts.meta.set(key, bytes)
  return `${byteLength} bytes of meta ${key}`
}

/** Makes another legal index of this one. */
function vary(parts: Parts, random: Random): string {
  const at = pick(random, parts.placed)
  const what = below(random, 6)
  if (what === 0) {
    if (parts.segments[at].get('rowCount') > 32) splitSegment(parts, at)
    return `segment ${at} is split`
  }
  if (what === 1) {
    const records = pick(random, [1, 7])
    rechunk(parts, 32, records)
    return `chunks of ${records}`
  }
  if (what === 2) {
    parts.segments.splice(at, 1 + below(random, 5))
    parts.recount()
    return `segments from ${at} on are left out`
  }
  if (what === 3) {
    const kind = pick(
      random,
      parts.data.map((file: DataFile) => file.kind)
    )
    moveToGeneration(parts, kind, 3)
    parts.index.set('generation', 3)
    return `${kind} of generation 3`
  }
  if (what === 4) {
    const zone = below(random, parts.centroids.length)
    for (const record of parts.segments.slice(at, at + 9)) record.set('zone', zone)
    return `segments from ${at} on are of zone ${zone}`
  }
  if (parts.bits === 0) turnRows(parts, at)
  return `rows of segment ${at} turned`
}

const CHANGES: readonly ((parts: Parts, random: Random) => string)[] = [
  changeField,
  changeField,
  changeField,
  changeField,
  changeRecords,
  changeRowCount,
  changeValue,
  changeValue,
  changeChunk,
  changeOther
]

/** Forges at random; says what it did. */
export function forgeAtRandom(parts: Parts, random: Random): string[] {
  const done: string[] = []
  if (random() < 0.3) done.push(vary(parts, random))
  const changes = Array.from({ length: random() < 0.6 ? 1 : 2 + below(random, 2) }, () => pick(random, CHANGES))
  // Last, for a value of another length has no fields.
  changes.sort((a, b) => Number(a === changeOther) - Number(b === changeOther))
  for (const change of changes) {
    if (parts.placed.length === 0 || parts.files.length === 0) break
    done.push(change(parts, random))
  }
  return done
}
