// A packed index of one file, to be changed by a forger, and every checksum and digest mended (pages of centroids and
// opening part -> header), so that only what was forged is wrong. Knows the layout by the spec, section 12.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib'

import { Fields, recordsOf } from './fields.ts'
import { FILE_RECORD, INDEX_RECORD, OPENED_LENGTHS, PACKED_HEADER, PART_RECORD, SEGMENT_RECORD } from './structures.ts'

const PAGE = 4096

export type PackedHeaderFields = Fields<keyof typeof PACKED_HEADER.fields>
type OpenedFields = Fields<keyof typeof OPENED_LENGTHS.fields>
type PartFields = Fields<keyof typeof PART_RECORD.fields>

export class PackedFile {
  /** What follows is set when the bytes are made, unless it is forged: by these calls, in the end. */
  readonly #headerChanges: ((header: PackedHeaderFields) => void)[] = []
  readonly #lengthChanges: ((lengths: OpenedFields) => void)[] = []
  readonly #partChanges: ((parts: PartFields[]) => void)[] = []
  #openedChange: ((opened: Uint8Array) => Uint8Array) | undefined
  #openingChange: ((opening: Uint8Array) => Uint8Array) | undefined
  readonly #header: PackedHeaderFields
  /** In the order of the file. */
  values: [string, Uint8Array][] = []
  centroidCrcs: Uint32Array | undefined
  zoneCodes: Uint8Array
  files: Fields<keyof typeof FILE_RECORD.fields>[]
  segments: Fields<keyof typeof SEGMENT_RECORD.fields>[]
  /** The centroids, then the data files. */
  readonly parts: Uint8Array[]

  constructor(path: string) {
    const bytes = new Uint8Array(readFileSync(path))
    this.#header = new Fields(PACKED_HEADER, bytes.slice(0, PAGE))
    const openingBytes = this.#header.get('openingByteLength')
    const opened = new Uint8Array(inflateRawSync(bytes.subarray(PAGE, PAGE + openingBytes)))
    const lengths: OpenedFields = new Fields(OPENED_LENGTHS, opened.slice(0, OPENED_LENGTHS.byteLength))
    let at: number = OPENED_LENGTHS.byteLength
    const take = (length: number): Uint8Array => {
      at += length
      return opened.slice(at - length, at)
    }
    this.values = splitValues(take(lengths.get('valuesByteLength')))
    const parts = recordsOf(PART_RECORD, take(lengths.get('partCount') * PART_RECORD.byteLength))
    take(lengths.get('centroidPageCount') * 4)
    this.zoneCodes = take(lengths.get('zoneCodesByteLength'))
    this.files = recordsOf(FILE_RECORD, unshuffle(take(lengths.get('fileCount') * FILE_RECORD.byteLength), FILE_RECORD))
    this.segments = recordsOf(
      SEGMENT_RECORD,
      unshuffle(take(lengths.get('segmentCount') * SEGMENT_RECORD.byteLength), SEGMENT_RECORD)
    )
    let offset = pages(PAGE + openingBytes)
    this.parts = parts.map((part) => {
      const found = bytes.slice(offset, offset + part.get('byteLength'))
      offset += pages(found.byteLength)
      return found
    })
  }

  /** Changes the header at last, before its CRC is mended. */
  header(change: (header: PackedHeaderFields) => void): void {
    this.#headerChanges.push(change)
  }

  lengths(change: (lengths: OpenedFields) => void): void {
    this.#lengthChanges.push(change)
  }

  partRecords(change: (parts: PartFields[]) => void): void {
    this.#partChanges.push(change)
  }

  /** Changes all that the opening part inflates to. */
  opened(change: (opened: Uint8Array) => Uint8Array): void {
    this.#openedChange = change
  }

  /** Changes the opening part as it is deflated. */
  opening(change: (opening: Uint8Array) => Uint8Array): void {
    this.#openingChange = change
  }

  /** Changes a value, or removes it. */
  value(key: string, change: (value: Uint8Array) => Uint8Array | undefined): void {
    this.values = this.values.flatMap(([name, value]): [string, Uint8Array][] => {
      const changed = name === key ? change(value) : value
      return changed === undefined ? [] : [[name, changed]]
    })
  }

  index(change: (record: Fields<keyof typeof INDEX_RECORD.fields>) => void): void {
    this.value('index', (value) => {
      const record = new Fields(INDEX_RECORD, value.slice())
      change(record)
      return record.bytes
    })
  }

  bytes(): Uint8Array {
    const made = this.#opened()
    const opened = this.#openedChange?.(made) ?? made
    const deflated = new Uint8Array(deflateRawSync(opened))
    const opening = this.#openingChange?.(deflated) ?? deflated
    const header: PackedHeaderFields = new Fields(PACKED_HEADER, this.#header.bytes.slice())
    header.set('openingByteLength', opening.byteLength)
    header.set('openedByteLength', opened.byteLength)
    header.set('openingCrc', crc32(opening))
    header.set('centroidPageCount', this.parts[0].byteLength / PAGE)
    header.bytes.set(createHash('sha256').update(opened).digest(), PACKED_HEADER.fields.digest.offset)
    const body = [opening, ...this.parts].map(padded)
    const whole = PAGE + opening.byteLength
    header.set(
      'fileByteLength',
      body.reduce((sum, { byteLength }) => sum + byteLength, pages(whole)) - body[0].byteLength
    )
    for (const change of this.#headerChanges) change(header)
    new DataView(header.bytes.buffer, header.bytes.byteOffset).setUint32(
      PAGE - 4,
      crc32(header.bytes.subarray(0, PAGE - 4)),
      true
    )
    return Buffer.concat([header.bytes, ...body])
  }

  #opened(): Uint8Array {
    const values = joinValues(this.values)
    const crcs = this.centroidCrcs ?? crcsOf(this.parts[0])
    const lengths: OpenedFields = new Fields(OPENED_LENGTHS, new Uint8Array(OPENED_LENGTHS.byteLength))
    lengths.set('valuesByteLength', values.byteLength)
    lengths.set('partCount', this.parts.length)
    lengths.set('centroidPageCount', crcs.length)
    lengths.set('zoneCodesByteLength', this.zoneCodes.byteLength)
    lengths.set('fileCount', this.files.length)
    lengths.set('segmentCount', this.segments.length)
    for (const change of this.#lengthChanges) change(lengths)
    const parts = this.parts.map((part) => {
      const record: PartFields = new Fields(PART_RECORD, new Uint8Array(PART_RECORD.byteLength))
      record.set('byteLength', part.byteLength)
      record.bytes.set(createHash('sha256').update(part).digest(), PART_RECORD.fields.digest.offset)
      return record
    })
    for (const change of this.#partChanges) change(parts)
    return Buffer.concat([
      lengths.bytes,
      values,
      ...parts.map(({ bytes }) => bytes),
      new Uint8Array(crcs.slice().buffer),
      this.zoneCodes,
      shuffle(Buffer.concat(this.files.map(({ bytes }) => bytes)), FILE_RECORD),
      shuffle(Buffer.concat(this.segments.map(({ bytes }) => bytes)), SEGMENT_RECORD)
    ])
  }
}

const pages = (byteLength: number): number => Math.ceil(byteLength / PAGE) * PAGE

/** Where the parts of a packed file begin, and behind them where it ends. */
export function partStarts(path: string): number[] {
  const { parts } = new PackedFile(path)
  const header: PackedHeaderFields = new Fields(PACKED_HEADER, new Uint8Array(readFileSync(path)).slice(0, PAGE))
  let at = pages(PAGE + header.get('openingByteLength'))
  return [at, ...parts.map(({ byteLength }) => (at += pages(byteLength)))]
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(pages(bytes.byteLength))
  whole.set(bytes)
  return whole
}

function crcsOf(centroids: Uint8Array): Uint32Array {
  return Uint32Array.from({ length: centroids.byteLength / PAGE }, (_, page) =>
    crc32(centroids.subarray(page * PAGE, (page + 1) * PAGE))
  )
}

function splitValues(bytes: Uint8Array): [string, Uint8Array][] {
  const values: [string, Uint8Array][] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (let at = 0; at < bytes.byteLength;) {
    const [keyBytes, valueBytes] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    const start = at + 8 + keyBytes
    values.push([Buffer.from(bytes.subarray(at + 8, start)).toString('latin1'), bytes.slice(start, start + valueBytes)])
    at = start + valueBytes
  }
  return values
}

function joinValues(values: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  return Buffer.concat(
    values.flatMap(([key, value]) => {
      const name = Buffer.from(key, 'latin1')
      return [new Uint8Array(Uint32Array.of(name.byteLength, value.byteLength).buffer), name, value]
    })
  )
}

/** Column by column of bytes, of words that are differences to the record before. */
function shuffle(records: Uint8Array, { byteLength: width }: { readonly byteLength: number }): Uint8Array {
  const count = records.byteLength / width
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength)
  return Uint8Array.from({ length: records.byteLength }, (_, i) => {
    const [column, record] = [Math.floor(i / count), i % count]
    const at = column - (column % 4)
    const word = view.getUint32(record * width + at, true)
    const before = record === 0 ? 0 : view.getUint32((record - 1) * width + at, true)
    return ((word - before) >>> (8 * (column % 4))) & 255
  })
}

function unshuffle(shuffled: Uint8Array, { byteLength: width }: { readonly byteLength: number }): Uint8Array {
  const count = shuffled.byteLength / width
  const records = new Uint8Array(shuffled.byteLength)
  const view = new DataView(records.buffer)
  for (let at = 0; at < width; at += 4) {
    let word = 0
    for (let record = 0; record < count; record++) {
      for (let byte = 0; byte < 4; byte++) word += shuffled[(at + byte) * count + record] * 2 ** (8 * byte)
      word %= 2 ** 32
      view.setUint32(record * width + at, word, true)
    }
  }
  return records
}
