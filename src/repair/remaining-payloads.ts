// Payloads of a segment row by row, each by its own checksum. Their bytes are kept as they are.

import { ZgqError } from '../errors.ts'
import { columnsTableBytes, MOST_COLUMNS } from '../format/columns.ts'
import { faultOfValue } from '../format/fields.ts'
import { checksum } from '../format/layout.ts'
import { MOST_PAYLOAD_BYTES } from '../format/payload.ts'
import { decodePayloadHead, type PayloadTable } from '../format/payload-extent.ts'
import type { SegmentRecord } from '../format/segment-record.ts'
import { u64At } from '../format/u64.ts'
import { EncodedPayload } from '../input/encoded-payload.ts'
import { PIECE_BYTES } from '../storage/extents.ts'
import type { Losses } from './losses.ts'
import type { Remains } from './remains.ts'

interface PayloadsOf {
  readonly remains: Pick<Remains, 'files' | 'fields' | 'hadFields'>
  readonly losses: Losses
}

export class RemainingPayloads {
  readonly #segment: SegmentRecord
  readonly #of: PayloadsOf
  readonly #path: string
  /** Undefined: the segment has no payloads, or they cannot be found. */
  readonly #table: PayloadTable | undefined
  #piece = { offset: 0, bytes: new Uint8Array(0) }

  constructor(segment: SegmentRecord, of: PayloadsOf) {
    this.#segment = segment
    this.#of = of
    this.#path = of.remains.files.pathOf(segment.payload.file)
    this.#table = this.#openTable()
  }

  #openTable(): PayloadTable | undefined {
    const { segment, rowCount, payload } = this.#segment
    const { files } = this.#of.remains
    const { losses } = this.#of
    if (payload.byteLength === 0 || !files.has(payload.file)) return undefined
    const { byteLength, offset, crc } = payload
    const read = (from: number, length: number): Uint8Array => {
      const bytes = new Uint8Array(length)
      files.read(payload.file, offset + from, bytes)
      return bytes
    }
    const tableBytes = columnsTableBytes(MOST_COLUMNS)
    const expected = { path: this.#path, offset, segment, rowCount, headerCrc: crc, verifiesColumns: true, tableBytes }
    return losses.attempt(this.#path, () => decodePayloadHead({ byteLength, read }, expected))
  }

  /** Reads the payload of a row; one that is lost is counted and noted. Rows come in ascending order. */
  at(row: number): EncodedPayload {
    const { losses } = this.#of
    if (this.#segment.payload.byteLength === 0) return EncodedPayload.none
    const found = this.#table && losses.attempt(this.#path, () => this.#read(row, this.#table))
    if (found !== undefined) return found
    losses.losePayload()
    return EncodedPayload.none
  }

  #read(row: number, table = this.#table): EncodedPayload {
    if (table === undefined) return EncodedPayload.none
    const { segment, payload } = this.#segment
    const from = u64At(table.offsets, row)
    const byteLength = u64At(table.offsets, row + 1) - from
    if (byteLength === 0) return EncodedPayload.none
    const offset = payload.offset + table.start + from
    const damage = (what: string): ZgqError =>
      new ZgqError('ZGQ_CORRUPT', `the payload of row ${row} of segment ${segment} ${what}`, {
        path: this.#path,
        offset
      })
    if (byteLength > MOST_PAYLOAD_BYTES) throw damage(`has ${byteLength} bytes`)
    const bytes = this.#bytesAt(offset, byteLength)
    if (checksum(bytes) !== table.crcs[row]) throw damage('does not fit its CRC')
    return encodedPayload(bytes, this.#of.remains, this.#path)
  }

  /** Reads many that lie together at once. */
  #bytesAt(offset: number, byteLength: number): Uint8Array {
    const { files } = this.#of.remains
    const { file, ...payload } = this.#segment.payload
    const end = this.#piece.offset + this.#piece.bytes.byteLength
    if (offset < this.#piece.offset || offset + byteLength > end) {
      const left = Math.min(payload.offset + payload.byteLength, files.byteLengthOf(file)) - offset
      const bytes = new Uint8Array(Math.max(byteLength, Math.min(left, PIECE_BYTES)))
      try {
        files.read(file, offset, bytes)
        this.#piece = { offset, bytes }
      } catch {
        // Of a piece that cannot be read this payload may still be.
        const own = new Uint8Array(byteLength)
        files.read(file, offset, own)
        return own
      }
    }
    return this.#piece.bytes.slice(offset - this.#piece.offset, offset - this.#piece.offset + byteLength)
  }
}

/** Takes the bytes of a payload; throws ZGQ_CORRUPT for what is none, or does not have the fields of the index. */
export function encodedPayload(
  bytes: Uint8Array,
  { fields, hadFields }: Pick<Remains, 'fields' | 'hadFields'>,
  path: string
): EncodedPayload {
  const payload = EncodedPayload.of(bytes, fields, path)
  for (const { name, type } of hadFields ? fields : []) {
    const value = Object.hasOwn(payload.values, name) ? payload.values[name] : undefined
    const fault = faultOfValue(type, value)
    if (fault !== undefined) throw new ZgqError('ZGQ_CORRUPT', `the field ${name} of a payload ${fault}`, { path })
  }
  return payload
}
