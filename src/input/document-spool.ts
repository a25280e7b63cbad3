// Spools what rows have besides vectors, as it comes: ids of either kind, payloads, and the declared fields in them.
// What is wrong with a value is found here, with its row.

import { createHash, type Hash } from 'node:crypto'

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { LONE_SURROGATE, type DeclaredField } from '../format/fields.ts'
import { PayloadEncoder } from '../format/payload.ts'
import { encodeStringId, findBadStringId } from '../format/string-ids.ts'
import { FileWriter } from '../storage/file-writer.ts'
import type { IdType } from '../types.ts'
import { BlobSpoolWriter } from './blob-spool.ts'
import { EncodedPayload } from './encoded-payload.ts'
import { FieldEncoder } from './field-values.ts'

/** Files of a spool; undefined: only digests are taken. */
export interface DocumentPaths {
  /** Integer ids, float64. */
  readonly ids: string
  /** String ids, a blob spool. */
  readonly texts: string
  readonly payloads: string
  readonly fields: string
}

/** Where values come from, and how messages say so. */
export interface DocumentOrigin {
  /** The file that they were read from; undefined: they are arguments, and errors of the caller are TypeErrors. */
  readonly path: string | undefined
  readonly nameOfRow: (row: number) => string
}

/** What was spooled of one kind. */
export interface SpooledColumn {
  /** In hex. */
  readonly digest: string
  readonly byteLength: number
}

export function rowName(row: number): string {
  return `row ${row}`
}

/** Writes ids, of the kind that the first one has. */
export class IdSpool {
  readonly #paths: DocumentPaths | undefined
  readonly #origin: DocumentOrigin
  #hash: Hash = createHash('sha256')
  #integers: FileWriter | undefined
  #texts: BlobSpoolWriter | undefined
  #idType: IdType | undefined
  #count = 0

  constructor(paths: DocumentPaths | undefined, origin: DocumentOrigin) {
    this.#paths = paths
    this.#origin = origin
  }

  /** The kind of the ids; undefined before the first one. */
  get idType(): IdType | undefined {
    return this.#idType
  }

  /**
   * Appends the ids of the next rows. Throws ZGQ_BUILD_INPUT, naming the row, for an id that cannot be one or is of the
   * other kind; TypeError for an argument with a lone surrogate.
   */
  append(ids: ArrayLike<unknown>): void {
    if (ids.length === 0) return
    this.#idType ??= typeof ids[0] === 'string' ? 'string' : 'integer'
    if (this.#idType === 'string') this.#appendTexts(ids)
    else this.#appendIntegers(ids)
    this.#count += ids.length
  }

  finish(): SpooledColumn {
    this.#integers?.flush()
    if (this.#texts === undefined) return { digest: this.#hash.digest('hex'), byteLength: this.#count * 8 }
    return { digest: this.#texts.finish(), byteLength: this.#texts.byteLength }
  }

  close(): void {
    this.#integers?.close()
    this.#texts?.close()
  }

  #appendTexts(ids: ArrayLike<unknown>): void {
    this.#texts ??= new BlobSpoolWriter(this.#paths?.texts)
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]
      const bad = findBadStringId(id)
      if (typeof id !== 'string' || bad !== undefined) throw this.#badText(id, bad ?? '', this.#count + i)
      this.#texts.append(encodeStringId(id))
    }
  }

  #badText(id: unknown, bad: string, row: number): Error {
    const message = `the id of ${this.#origin.nameOfRow(row)} cannot be used: ${bad}`
    if (this.#origin.path === undefined && typeof id === 'string' && LONE_SURROGATE.test(id))
      return new TypeError(message)
    return new ZgqError('ZGQ_BUILD_INPUT', message, { path: this.#origin.path })
  }

  #appendIntegers(ids: ArrayLike<unknown>): void {
    const checked = new Float64Array(ids.length)
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]
      if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) {
        const row = this.#origin.nameOfRow(this.#count + i)
        throw new ZgqError('ZGQ_BUILD_INPUT', `the id of ${row} is ${describe(id)}, expected a safe integer >= 0`, {
          path: this.#origin.path
        })
      }
      checked[i] = id
    }
    const bytes = new Uint8Array(checked.buffer)
    this.#hash.update(bytes)
    if (this.#paths === undefined) return
    this.#integers ??= new FileWriter(this.#paths.ids)
    this.#integers.write(bytes)
  }
}

/** Writes payloads and the declared fields in them. */
export class PayloadSpool {
  readonly #origin: DocumentOrigin
  readonly #encoder = new PayloadEncoder()
  readonly #fieldEncoder: FieldEncoder | undefined
  readonly #payloads: BlobSpoolWriter
  readonly #fields: BlobSpoolWriter | undefined

  constructor(paths: DocumentPaths | undefined, origin: DocumentOrigin, fields: readonly DeclaredField[]) {
    this.#origin = origin
    this.#payloads = new BlobSpoolWriter(paths?.payloads)
    if (fields.length === 0) return
    try {
      this.#fieldEncoder = new FieldEncoder(fields)
      this.#fields = new BlobSpoolWriter(paths?.fields)
    } catch (error) {
      this.#payloads.close()
      throw error
    }
  }

  /**
   * Appends the payload of the next row. Throws TypeError, naming row and path, for what cannot be one
   * (ZGQ_BUILD_INPUT where it was read from a file), ZGQ_BUILD_INPUT for a field of another type than declared.
   */
  append(payload: unknown): void {
    const row = this.#origin.nameOfRow(this.#payloads.count)
    const isEncoded = payload instanceof EncodedPayload
    this.#payloads.append(isEncoded ? payload.bytes : this.#encode(payload, row))
    if (typeof payload !== 'object' || payload === null || this.#fieldEncoder === undefined) return
    this.#fields?.append(this.#fieldEncoder.encode(isEncoded ? payload.values : payload, row, this.#origin.path))
  }

  /** Returns what was spooled: payloads, and fields if any are declared. */
  finish(): { readonly payloads: SpooledColumn; readonly fields: SpooledColumn | undefined } {
    return {
      payloads: { digest: this.#payloads.finish(), byteLength: this.#payloads.byteLength },
      fields:
        this.#fields === undefined ? undefined : { digest: this.#fields.finish(), byteLength: this.#fields.byteLength }
    }
  }

  close(): void {
    this.#payloads.close()
    this.#fields?.close()
  }

  #encode(payload: unknown, row: string): Uint8Array {
    const { path } = this.#origin
    try {
      return this.#encoder.encode(payload, row)
    } catch (error) {
      if (path === undefined || !(error instanceof TypeError)) throw error
      throw new ZgqError('ZGQ_BUILD_INPUT', error.message, { path, cause: error })
    }
  }
}
