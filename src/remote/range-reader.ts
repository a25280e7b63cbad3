// The asynchronous reader over a source of bytes: parts of packed indexes, wherever they are.

import { onAbort } from '../abort.ts'
import { ZgqError } from '../errors.ts'
import { unlessAborted, type AsyncReader } from '../storage/async-reader.ts'
import type { FileRange } from '../storage/reader.ts'
import {
  ChangedObject,
  placeOf,
  type ByteSource,
  type GotBytes,
  type ObjectRange,
  type ObjectVersion
} from './byte-source.ts'
import type { Measured } from './link-measures.ts'
import { planSpans, splitSpan, type Span } from './range-plan.ts'
import { Requester, type ReadTally, type RequestOptions } from './requester.ts'

export type { ReadTally } from './requester.ts'
export type RangeReaderOptions = RequestOptions

/** A data file: a part of an object. */
export interface RemoteFile {
  readonly name: string
  /** Where the part begins in its object. */
  readonly start: number
  readonly byteLength: number
}

/** Reads parts of objects, each in one state: an object that changed meanwhile is a ChangedObject. */
export class RangeReader implements AsyncReader {
  readonly #requester: Requester
  #files: ReadonlyMap<number, RemoteFile> = new Map()
  /** What was seen first of each object. */
  readonly #versions = new Map<string, ObjectVersion>()
  readonly #closing = new AbortController()

  constructor(source: ByteSource | Requester, options: RangeReaderOptions = {}) {
    this.#requester = source instanceof Requester ? source : new Requester(source, options)
  }

  /** What the way to the source is like, as far as requests have shown. */
  get measured(): Measured {
    return this.#requester.measures.measured
  }

  /** A reader that has seen nothing yet, for another look at the source. Both share what requests there may be. */
  renew(): RangeReader {
    return new RangeReader(this.#requester)
  }

  /** Takes the data files by their numbers. */
  setFiles(files: ReadonlyMap<number, RemoteFile>): void {
    this.#files = files
  }

  /**
   * Reads ranges of files, in any order; those that are close together share a request. Ranges may share memory.
   * Rejects with ZGQ_TRUNCATED, ZGQ_IO, ZGQ_NOT_FOUND, a ChangedObject, and with the reason of the signal as soon as
   * it is aborted.
   */
  async readAsync(
    ranges: readonly FileRange[],
    signal: AbortSignal | undefined,
    tally?: ReadTally
  ): Promise<Uint8Array[]> {
    const wanted = ranges.map((range) => this.#locate(range))
    const { measures, limit } = this.#requester
    const { mostBytes } = measures
    const spans = planSpans(wanted, { gapBytes: measures.gapBytes(limit.most), mostBytes })
    const found: Uint8Array[] = wanted.map(() => new Uint8Array(0))
    await this.#during(signal, async (until) => {
      await Promise.all(
        spans.map(async (span) => {
          const bytes = await this.#readSpan(span, { mostBytes, signal: until, tally })
          for (const place of span.wanted) {
            const { offset, byteLength } = wanted[place]
            found[place] = bytes.subarray(offset - span.offset, offset - span.offset + byteLength)
          }
        })
      )
    })
    return found
  }

  /** Resolves to a range of an object, to less where it ends before: for opening, when there are no files yet. */
  async get(
    ...[name, offset, length, signal, tally]: [
      name: string,
      offset: number,
      length: number,
      signal: AbortSignal | undefined,
      tally?: ReadTally
    ]
  ): Promise<GotBytes> {
    const range = { name, offset, byteLength: length }
    return await this.#during(signal, async (until) => {
      return await this.#send(range, { mayEnd: true, signal: until, tally })
    })
  }

  /** Resolves to the names of objects that begin with a prefix; undefined where the source cannot list. */
  async list(prefix: string, signal: AbortSignal | undefined, tally?: ReadTally): Promise<string[] | undefined> {
    return await this.#during(signal, async (until) => {
      return await this.#requester.list(prefix, { name: '', signal: until, tally })
    })
  }

  /** Idempotent: what waits rejects with ZGQ_CLOSED, and all later reads do. */
  close(): void {
    this.#closing.abort(new ZgqError('ZGQ_CLOSED', 'the index was closed'))
  }

  #locate({ file, offset, byteLength }: FileRange): ObjectRange {
    const found = this.#files.get(file)
    if (found === undefined) throw new TypeError(`there is no file ${file}`)
    if (offset + byteLength > found.byteLength)
      throw new ZgqError(
        'ZGQ_TRUNCATED',
        `a part of ${found.byteLength} bytes ends before byte ${offset + byteLength}`,
        {
          path: placeOf(this.#requester.source, found.name),
          offset: found.start + offset
        }
      )
    return { name: found.name, offset: found.start + offset, byteLength }
  }

  /** Does work until the signal or the end of this reader. Where a part of it fails, the rest is ended. */
  async #during<Result>(
    signal: AbortSignal | undefined,
    work: (until: AbortSignal) => Promise<Result>
  ): Promise<Result> {
    this.#closing.signal.throwIfAborted()
    signal?.throwIfAborted()
    const ending = new AbortController()
    const ends = [this.#closing.signal, signal].map((other) =>
      onAbort(other, () => {
        ending.abort(other?.reason)
      })
    )
    try {
      return await unlessAborted(ending.signal, async () => await work(ending.signal))
    } catch (error) {
      ending.abort(error)
      throw error
    } finally {
      for (const end of ends) end()
    }
  }

  async #readSpan(
    span: Span,
    how: { readonly mostBytes: number; readonly signal: AbortSignal; readonly tally: ReadTally | undefined }
  ): Promise<Uint8Array> {
    const { signal, tally } = how
    const pieces = splitSpan(span, how.mostBytes)
    if (pieces.length === 1) return (await this.#send(span, { mayEnd: false, signal, tally })).bytes
    const bytes = new Uint8Array(span.byteLength)
    await Promise.all(
      pieces.map(async (piece) => {
        const got = await this.#send(piece, { mayEnd: false, signal, tally })
        bytes.set(got.bytes, piece.offset - span.offset)
      })
    )
    return bytes
  }

  async #send(
    { name, offset, byteLength }: ObjectRange,
    how: { readonly mayEnd: boolean; readonly signal: AbortSignal; readonly tally: ReadTally | undefined }
  ): Promise<GotBytes> {
    const compare = (found: ObjectVersion): void => {
      this.#compare(name, found)
    }
    return await this.#requester.send({ name, offset, byteLength, ...how, compare })
  }

  /** Throws ChangedObject where an object is not the one that was seen first. */
  #compare(name: string, found: ObjectVersion): void {
    const first = this.#versions.get(name) ?? {}
    const isOther = isOtherTag(first.etag, found.etag)
    if (isOther || (first.byteLength ?? found.byteLength) !== (found.byteLength ?? first.byteLength))
      throw new ChangedObject(
        `the file was replaced while it was in use (${isOther ? 'ETag' : 'length'} ${said(first, isOther)}, now ` +
          `${said(found, isOther)}): open it again. Several servers of one address must agree on it`,
        { path: placeOf(this.#requester.source, name) }
      )
    const { etag = found.etag, byteLength = found.byteLength } = first
    this.#versions.set(name, { etag, byteLength })
  }
}

/** A weak tag (W/) is as good: a proxy that compresses other files makes strong ones weak. */
function isOtherTag(first: string | undefined, found: string | undefined): boolean {
  if (first === undefined || found === undefined) return false
  const [a, b] = [first, found].map((tag) => tag.replace(/^W\//, ''))
  // Of an ETag and a time nothing follows.
  return a !== b && isTime(a) === isTime(b)
}

function isTime(tag: string): boolean {
  return tag.startsWith('Last-Modified ')
}

function said(version: ObjectVersion, isTag: boolean): string {
  return isTag ? String(version.etag) : String(version.byteLength)
}
