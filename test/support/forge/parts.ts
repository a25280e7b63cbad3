// The parts of an index, to be changed by a forger, and every checksum mended up the chain (page -> column -> extent
// header -> segment record and directory -> footer; header -> file record; chunk -> digest -> index record -> meta), so
// that only what was forged is wrong. Knows the layout by the spec, and places by the index as it was: a forged number
// moves nothing.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { encodeMessagePack } from '../../../src/catalogue/encode-message-pack.ts'
import { mendChunks, readTables, writeTables, type Chunks } from './catalogue.ts'
import { DataFile, type DirectoryEntry, type FileFields, type FileKind } from './data-file.ts'
import { ExtentView, mendExtent, mendPages } from './extent.ts'
import { Fields, recordsOf } from './fields.ts'
import {
  CALIBRATION_HEADER,
  CALIBRATION_POINT,
  DIRECTORY_ENTRY,
  FILE_RECORD,
  INDEX_RECORD,
  QUANTIZER_HEADER,
  SEGMENT_RECORD
} from './structures.ts'

export type SegmentField = keyof typeof SEGMENT_RECORD.fields
export type SegmentFields = Fields<SegmentField>
export type IndexField = keyof typeof INDEX_RECORD.fields
export type PointFields = Fields<keyof typeof CALIBRATION_POINT.fields>

const EXTENTS = ['rows', 'columns', 'codes', 'fields', 'payload'] as const
type ExtentKind = (typeof EXTENTS)[number]
const EXTENTS_OF_COLUMNS = ['columns', 'codes', 'fields', 'payload'] as const
type ExtentOfColumns = (typeof EXTENTS_OF_COLUMNS)[number]

interface Extent {
  readonly file: DataFile
  readonly offset: number
  readonly byteLength: number
}

/** A segment and where its extents are, whatever its record says. */
interface Place {
  readonly record: SegmentFields
  readonly extents: Partial<Record<ExtentKind, Extent>>
  readonly crcs: Readonly<Record<ExtentOfColumns, number>>
}

export class Parts {
  readonly folder: string
  /** Values by key; a key that is deleted goes. */
  readonly meta: Map<string, Uint8Array>
  files: FileFields[]
  segments: SegmentFields[]
  centroids: Float32Array[]
  zoneCodes: Uint8Array
  /** As the index had it before it was forged. */
  readonly dim: number
  readonly bits: number
  readonly data: readonly DataFile[]
  readonly #places: Place[] = []
  readonly #digest: Uint8Array
  readonly #chunkChanges: ((chunks: Chunks) => void)[] = []

  constructor(folder: string) {
    this.folder = folder
    const { meta, records } = readTables(folder)
    this.meta = meta
    this.dim = this.index.get('dim')
    this.bits = this.index.get('bits')
    this.#digest = this.index.bytesOf('digest').slice()
    this.files = recordsOf(FILE_RECORD, records.files)
    this.segments = recordsOf(SEGMENT_RECORD, records.segments)
    const centroids = new Float32Array(records.zones.buffer)
    this.centroids = Array.from({ length: centroids.length / this.dim }, (_, zone) =>
      centroids.slice(zone * this.dim, (zone + 1) * this.dim)
    )
    this.zoneCodes = records.zone_codes
    this.data = this.files.map((record) => {
      const name = fileName(record)
      return new DataFile({ record, name, bytes: Uint8Array.from(readFileSync(join(folder, name))), dim: this.dim })
    })
    for (const record of this.segments) this.place(record)
  }

  get index(): Fields<IndexField> {
    return new Fields(INDEX_RECORD, this.#value('index'))
  }

  get quantizer(): { header: Fields<keyof typeof QUANTIZER_HEADER.fields>; mean: Float32Array; flips: Uint8Array } {
    const bytes = this.#value('quantizer')
    const meanEnd = QUANTIZER_HEADER.byteLength + this.dim * 4
    return {
      header: new Fields(QUANTIZER_HEADER, bytes),
      mean: new Float32Array(bytes.buffer, QUANTIZER_HEADER.byteLength, this.dim),
      flips: bytes.subarray(meanEnd)
    }
  }

  get calibration(): { header: Fields<keyof typeof CALIBRATION_HEADER.fields>; points: PointFields[] } {
    const bytes = this.#value('calibration')
    const points = Array.from(
      { length: (bytes.byteLength - CALIBRATION_HEADER.byteLength) / CALIBRATION_POINT.byteLength },
      (_, i) =>
        new Fields(CALIBRATION_POINT, bytes.subarray(CALIBRATION_HEADER.byteLength + i * CALIBRATION_POINT.byteLength))
    )
    return { header: new Fields(CALIBRATION_HEADER, bytes), points }
  }

  /** Puts other points into the calibration; `pointCount` follows. */
  setPoints(points: readonly PointFields[]): void {
    const { header } = this.calibration
    header.set('pointCount', points.length)
    this.meta.set('calibration', Buffer.concat([header.bytes, ...points.map(({ bytes }) => bytes)]))
  }

  setBuild(facts: unknown): void {
    this.meta.set('build', encodeMessagePack(facts))
  }

  #value(key: string): Uint8Array {
    const value = this.meta.get(key)
    if (value === undefined) throw new Error(`there is no meta ${key}`)
    return value
  }

  /** The first file of a kind. */
  file(kind: FileKind): DataFile {
    const found = this.data.find((file) => file.kind === kind)
    if (found === undefined) throw new Error(`there is no ${kind} file`)
    return found
  }

  /** Notes that the extents of a segment are where its record says; what is noted is mended. */
  place(record: SegmentFields): void {
    const extents: Place['extents'] = {}
    for (const kind of EXTENTS) {
      const byteLength = record.get(`${kind}ByteLength`)
      const file = this.data.find((one) => one.record.get('file') === record.get(`${kind}File`))
      if (file === undefined || byteLength === 0) continue
      extents[kind] = { file, offset: record.get(`${kind}Offset`), byteLength }
    }
    const crcs = {
      columns: record.get('columnsCrc'),
      codes: record.get('codesCrc'),
      fields: record.get('fieldsCrc'),
      payload: record.get('payloadCrc')
    }
    const at = this.#places.findIndex((place) => place.record === record)
    this.#places.splice(at === -1 ? this.#places.length : at, at === -1 ? 0 : 1, { record, extents, crcs })
  }

  /** Positions of the segments whose extents are known: not those that a forger made up. */
  get placed(): number[] {
    return [...this.segments.keys()].filter((i) => this.#places.some(({ record }) => record === this.segments[i]))
  }

  #extent(segment: number, kind: ExtentKind): DataView {
    const extent = this.#places.find(({ record }) => record === this.segments[segment])?.extents[kind]
    if (extent === undefined) throw new Error(`segment ${segment} has no ${kind}`)
    return new DataView(extent.file.bytes.buffer, extent.offset, extent.byteLength)
  }

  /** The values of a segment's rows. */
  rows(segment: number): Float32Array {
    const { buffer, byteOffset, byteLength } = this.#extent(segment, 'rows')
    return new Float32Array(buffer, byteOffset, byteLength / 4)
  }

  /** The columns extent of a segment in a file of a kind: in the vectors file that beside its rows. */
  extent(segment: number, kind: Exclude<FileKind, 'ids' | 'delta'>): ExtentView {
    return new ExtentView(this.#extent(segment, kind === 'vectors' ? 'columns' : kind))
  }

  /** Puts the numbers of records and rows into the index record, after a change that is legal. */
  recount(): void {
    const { segments, files, index } = this
    index.change({
      count: segments.reduce((sum, record) => sum + record.get('rowCount'), 0),
      zoneCount: this.centroids.length,
      segmentCount: segments.length,
      fileCount: files.length,
      nextSegment: segments.reduce((next, record) => Math.max(next, record.get('segment') + 1), 0),
      nextFile: files.reduce((next, record) => Math.max(next, record.get('file') + 1), 0)
    })
  }

  /** Leaves the ids file out, which an index may be without: rows have other places or ids. */
  dropIds(): void {
    const isOther = (record: FileFields): boolean => record.get('kind') !== 5
    if (this.files.every(isOther)) return
    this.files = this.files.filter(isOther)
    this.index.set('fileCount', this.files.length)
  }

  /** Changes the chunks before they get their checksums. */
  changeChunks(change: (chunks: Chunks) => void): void {
    this.#chunkChanges.push(change)
  }

  /** Mends all checksums and writes everything back. */
  save(): void {
    for (const place of this.#places) this.#mendPlace(place)
    for (const file of this.data) {
      file.mend(() => this.#directoryOf(file))
      const old = join(this.folder, file.oldName)
      if (Buffer.compare(file.bytes, readFileSync(old)) !== 0) writeFileSync(old, file.bytes)
      if (file.name !== file.oldName) renameSync(old, join(this.folder, file.name))
    }
    const chunks = this.#chunks()
    for (const change of this.#chunkChanges) change(chunks)
    const digest = mendChunks(chunks)
    const index = this.meta.get('index')
    if (
      index?.byteLength === INDEX_RECORD.byteLength &&
      Buffer.compare(this.index.bytesOf('digest'), this.#digest) === 0
    )
      this.index.set('digest', digest)
    writeTables(this.folder, { meta: this.meta, chunks })
  }

  #mendPlace({ record, extents, crcs }: Place): void {
    const { rows } = extents
    for (const kind of EXTENTS_OF_COLUMNS) {
      const extent = extents[kind]
      if (extent === undefined || rows === undefined) continue
      const view = new DataView(extent.file.bytes.buffer, extent.offset, extent.byteLength)
      mendPages(new ExtentView(view), rows.file.bytes.subarray(rows.offset), rows.byteLength)
      const crc = mendExtent(view)
      if (crc !== undefined && record.get(`${kind}Crc`) === crcs[kind]) record.set(`${kind}Crc`, crc)
    }
  }

  /** What a directory would say of the segments in a file, in the order in which they lie there. */
  #directoryOf(file: DataFile): DirectoryEntry[] {
    const here = this.#places.filter(({ extents }) => extents.rows?.file === file)
    here.sort((a, b) => (a.extents.rows?.offset ?? 0) - (b.extents.rows?.offset ?? 0))
    return here.map(({ record }) => {
      const fields = new Fields(DIRECTORY_ENTRY, new Uint8Array(DIRECTORY_ENTRY.byteLength))
      for (const name of fields.names) if (name !== 'reserved') fields.set(name, record.bytesOf(name))
      return { fields, centroid: this.centroids.at(record.get('zone')) ?? new Float32Array(this.dim) }
    })
  }

  #chunks(): Chunks {
    const chunkOf = (records: readonly Uint8Array[], first: number, count = records.length): Chunks['files'] =>
      count === 0 ? [] : [{ first, count, records: Uint8Array.from(Buffer.concat(records)) }]
    const { files, segments, centroids } = this
    const bytesOf = ({ bytes }: { readonly bytes: Uint8Array }): Uint8Array => bytes
    return {
      files: chunkOf(files.map(bytesOf), files.at(0)?.get('file') ?? 0),
      segments: chunkOf(segments.map(bytesOf), segments.at(0)?.get('segment') ?? 0),
      zones: chunkOf(
        centroids.map((values) => new Uint8Array(values.slice().buffer)),
        0
      ),
      zone_codes: chunkOf([this.zoneCodes], 0, this.bits === 0 ? 0 : centroids.length),
      delta_zones: []
    }
  }
}

/** Reads an index, lets `change` forge it, mends the checksums and writes it back. */
export function forge(folder: string, change: (parts: Parts) => void): void {
  const parts = new Parts(folder)
  change(parts)
  parts.save()
}

const NAMES = ['', 'vectors', 'codes', 'fields', 'payload', 'ids', 'delta']

/** The name that a file has by its record. */
export function fileName(record: FileFields): string {
  const digits = (field: 'generation' | 'shard', count: number): string =>
    String(record.get(field)).padStart(count, '0')
  return `${NAMES[record.get('kind')]}-${digits('generation', 6)}-${digits('shard', 5)}.zgq`
}
