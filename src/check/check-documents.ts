// Holds what a segment's rows have besides vectors against each other: payloads are decoded one after the other, and
// each declared field must have in its columns what the payload has.

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { valueAt } from '../format/decode-field.ts'
import type { FieldColumn } from '../format/field-columns.ts'
import type { DeclaredField } from '../format/fields.ts'
import { decodeNote } from '../format/note.ts'
import { decodePayload } from '../format/payload.ts'
import type { Segment } from '../format/segment-table.ts'
import type { FieldValue } from '../types.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { DocumentFiles } from '../storage/document-files.ts'
import type { Readers } from '../storage/open-readers.ts'
import { fileOf, type DataFiles } from '../storage/reader.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'

/** Bytes of columns of fields that are in memory at a time, if one field does not take more. */
const FIELDS_BYTES = 32 * 2 ** 20

/** Throws ZGQ_CORRUPT for a note that cannot be read. */
export function checkNote({ encodedNote }: Snapshot, path: string): void {
  decodeNote(encodedNote, path)
}

export class DocumentCheck {
  readonly #documents: DocumentFiles
  readonly #files: DataFiles
  readonly #fields: readonly DeclaredField[]

  constructor(snapshot: Snapshot, of: { files: DataFiles; readers: Readers; segmentFiles: SegmentFiles }) {
    const { readers, segmentFiles } = of
    this.#documents = new DocumentFiles(snapshot, { files: segmentFiles, readers }, { verify: 'touch', cacheBytes: 0 })
    this.#files = of.files
    this.#fields = snapshot.fields
  }

  /** Checks payloads and fields of a segment; throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED or ZGQ_IO. */
  check(segment: Segment): void {
    if (segment.payload.byteLength === 0 && this.#fields.length === 0) return
    const perPass = Math.max(1, Math.floor((this.#fields.length * FIELDS_BYTES) / (segment.fields.byteLength + 1)))
    // Once, with all fields, but in segments whose fields do not fit into memory.
    for (let first = 0; first === 0 || first < this.#fields.length; first += perPass)
      this.#checkFields(segment, this.#fields.slice(first, first + perPass))
  }

  #checkFields(segment: Segment, fields: readonly DeclaredField[]): void {
    const columns = fields.map((field) => ({ field, column: this.#documents.fieldOf(segment, field) }))
    const wanted = new Set(fields.map(({ name }) => name))
    const place = segment.payload.byteLength === 0 ? {} : { path: fileOf(this.#files, segment.payload.file).path }
    this.#documents.eachPayload(segment, (bytes, row, offset) => {
      const payload = bytes === undefined ? {} : decodePayload(bytes, { ...place, offset }, wanted)
      for (const { field, column } of columns) {
        const { name } = field
        const own: unknown = Object.hasOwn(payload, name) ? payload[name] : undefined
        if (!isValue(column, row, own)) throw this.#differs(segment, { name, row, own, stored: valueAt(column, row) })
      }
    })
  }

  #differs(
    { segment, fields }: Segment,
    of: { name: string; row: number; own: unknown; stored: FieldValue | undefined }
  ): ZgqError {
    const { name, row, own, stored } = of
    return new ZgqError(
      'ZGQ_CORRUPT',
      `field ${describe(name)} of row ${row} of segment ${segment} has ${described(stored)} in its column, ` +
        `and ${described(own)} in the payload`,
      { path: fileOf(this.#files, fields.file).path, offset: fields.offset }
    )
  }
}

function described(value: unknown): string {
  return value === undefined ? 'nothing' : describe(value)
}

/** Tells whether a row has a value in its column. */
function isValue(column: FieldColumn, row: number, value: unknown): boolean {
  const stored = valueAt(column, row)
  if (!Array.isArray(stored) || !Array.isArray(value)) return stored === value
  return stored.length === value.length && stored.every((element, i) => element === value[i])
}
