// One state of an index that is read from afar: its snapshot, what searches work with, and what fetches for them. Where
// the index is replaced, another session takes its place.

import { packedSnapshot } from '../catalogue/packed-snapshot.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { hex } from '../format/header.ts'
import { ELEMENT_BYTES, PAGE_BYTES } from '../format/layout.ts'
import { partName, partOffsets } from '../format/packed-index.ts'
import { ThreadTurns } from '../pool/turns.ts'
import { Fetcher } from '../search/fetcher.ts'
import { requestedIndex, type RequestedIndex } from '../search/request.ts'
import type { SearchContext } from '../search/search-context.ts'
import { openSegmentFiles, startContext, type ContextOptions } from '../search/start-context.ts'
import type { DataFile } from '../storage/reader.ts'
import { placeOf, type ByteSource } from './byte-source.ts'
import { FetchedReaders } from './fetched-readers.ts'
import type { RangeReader, ReadTally, RemoteFile } from './range-reader.ts'
import { readHead, type RemoteHead } from './remote-head.ts'

/**
 * Centroids of so many bytes are fetched at once after an index was opened, whether or not somebody searches: the first
 * few searches would need most of them. Those of more are fetched as searches need them.
 */
const MOST_AHEAD_BYTES = 4 * 2 ** 20
/** In the place of the number of a file: the part that has the centroids. */
const CENTROIDS_FILE = -1

export interface SessionOptions {
  readonly source: ByteSource
  readonly isFolder: boolean
  readonly cacheBytes: number
}

export class RemoteSession {
  readonly snapshot: Snapshot
  readonly context: SearchContext
  readonly requested: RequestedIndex
  readonly options: ContextOptions
  readonly fetcher: Fetcher
  readonly turns = new ThreadTurns(() => undefined)
  readonly digest: string
  /** Undefined: it is one file. */
  readonly manifest: number | undefined
  /** Rows that there are. */
  readonly count: number
  /** What it reads was replaced: the same again would be another file. */
  isOutdated = false
  /** What opening it took. */
  readonly opening: ReadTally

  private constructor(of: { head: RemoteHead; reader: RangeReader; tally: ReadTally }, options: SessionOptions) {
    const { head, reader } = of
    const { records, header, path } = head
    const { meta, parts } = records
    const { centroidPages } = head
    const values = meta.zoneCount * meta.dim
    const centroids =
      centroidPages === undefined
        ? new Float32Array(0)
        : new Float32Array(centroidPages.slice(0, values * ELEMENT_BYTES).buffer)
    this.snapshot = packedSnapshot(records, { path, centroids, byteLength: head.byteLength })
    this.options = { cacheBytes: options.cacheBytes, verify: 'touch' }
    const files = placeFiles(head, this.snapshot, options.source)
    reader.setFiles(files.remote)
    const readers = new FetchedReaders(files.data)
    const segmentFiles = openSegmentFiles(this.snapshot, { readers, files: files.data, options: this.options })
    this.context = startContext(this.snapshot, {
      readers,
      files: segmentFiles,
      options: this.options,
      centroids:
        parts[0].byteLength === 0
          ? undefined
          : { file: CENTROIDS_FILE, path: files.centroidsPath, crcs: records.centroidCrcs }
    })
    takeCentroids(this.context, centroidPages)
    this.requested = requestedIndex(this.snapshot)
    this.fetcher = new Fetcher(reader)
    this.digest = hex(header.digest)
    this.manifest = head.manifest
    this.count = meta.count
    this.opening = of.tally
  }

  /** Reads the head and starts; rejects as `readHead` does, and ZGQ_MISMATCH as `packedSnapshot`. */
  static async open(
    reader: RangeReader,
    options: SessionOptions,
    signal: AbortSignal | undefined
  ): Promise<RemoteSession> {
    const tally = { requests: 0, bytes: 0 }
    const head = await readHead({ source: options.source, reader, isFolder: options.isFolder, signal, tally })
    const session = new RemoteSession({ head, reader, tally }, options)
    void session.#fetchCentroids()
    return session
  }

  /** Searches that need them wait for the same requests. */
  async #fetchCentroids(): Promise<void> {
    const { partial } = this.context.workspace
    const ranges = partial?.rangesOf('all') ?? []
    if (ranges.length === 0 || ranges.length * PAGE_BYTES > MOST_AHEAD_BYTES) return
    try {
      const { bytes, release } = await this.fetcher.fetch({ ranges, held: [] }, undefined)
      partial?.take(({ file, offset }, target) => bytes.copy(file, offset, target))
      release()
    } catch {
      // Who searches asks again, and is told what is wrong.
    }
  }

  /** Idempotent: what waits rejects with ZGQ_CLOSED. */
  close(): void {
    this.turns.close()
    this.fetcher.close()
  }
}

/** Takes the pages that came with the head. */
function takeCentroids({ workspace }: SearchContext, pages: Uint8Array | undefined): void {
  if (pages === undefined) return
  workspace.partial?.take(({ offset, byteLength }, target) => {
    target.set(pages.subarray(offset, offset + byteLength))
    return true
  })
}

/** Where the parts are: for requests by their objects, for errors by their names. */
function placeFiles(
  { records, header, manifest }: RemoteHead,
  { files }: Snapshot,
  source: ByteSource
): {
  readonly remote: ReadonlyMap<number, RemoteFile>
  readonly data: ReadonlyMap<number, DataFile>
  readonly centroidsPath: string
} {
  const remote = new Map<number, RemoteFile>()
  const data = new Map<number, DataFile>()
  const offsets = partOffsets(header.openingByteLength, records.parts)
  let centroidsPath = ''
  records.parts.forEach((part, i) => {
    const record = i === 0 ? undefined : files[i - 1]
    const number = record?.file ?? CENTROIDS_FILE
    const { byteLength } = part
    const name = manifest === undefined ? '' : partName(part, record)
    const path = placeOf(source, name) ?? partName(part, record)
    remote.set(number, { name, start: manifest === undefined ? offsets[i] : 0, byteLength })
    if (record === undefined) centroidsPath = path
    else data.set(number, { path, byteLength })
  })
  return { remote, data, centroidsPath }
}
