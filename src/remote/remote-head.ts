// Finds and reads the head of a packed index: of one file, or of a folder, whose highest manifest counts.

import { ZgqError } from '../errors.ts'
import { alignUp, PAGE_BYTES } from '../format/layout.ts'
import { decodePackedHeader, type PackedHeader } from '../format/packed-header.ts'
import { decodeOpening, LATEST_NAME, manifestName, manifestNumber, type PackedRecords } from '../format/packed-index.ts'
import { placeOf, RequestFailure, type ByteSource, type GotBytes } from './byte-source.ts'
import type { RangeReader, ReadTally } from './range-reader.ts'

/** What is asked for of a file before it is known how long its head is. */
const FIRST_BYTES = 2 ** 16
/** The same of a manifest, which ends with its head. */
const MANIFEST_BYTES = 2 ** 19
/** So many bytes of centroids are read with the head, where they follow it. */
const MOST_CENTROID_BYTES = 2 ** 19
/** What the head of an index may take of memory: some million zones. */
const MOST_OPENED_BYTES = 2 ** 28

/** The head of a packed index, and where it was found. */
export interface RemoteHead {
  readonly header: PackedHeader
  readonly records: PackedRecords
  /** As errors name the object. */
  readonly path: string
  /** Number of the manifest; undefined: it is one file. */
  readonly manifest: number | undefined
  readonly byteLength: number
  /** All pages of centroids, where they came with it. */
  readonly centroidPages: Uint8Array | undefined
}

/** How heads are read. */
export interface HeadReader {
  readonly source: ByteSource
  readonly reader: RangeReader
  readonly isFolder: boolean
  readonly signal: AbortSignal | undefined
  readonly tally: ReadTally
}

/**
 * Reads the head; rejects with ZGQ_NOT_FOUND, ZGQ_NOT_AN_INDEX, ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED, and as
 * requests do.
 */
export async function readHead(from: HeadReader): Promise<RemoteHead> {
  return from.isFolder ? await readManifest(from) : await readFileHead(from)
}

async function readFileHead(from: HeadReader): Promise<RemoteHead> {
  const path = pathOf(from, '')
  const first = await get(from, '', { offset: 0, byteLength: FIRST_BYTES })
  const header = expectHeader(first.bytes, path)
  const { fileByteLength, openingByteLength, centroidPageCount } = header
  if (fileByteLength === 0)
    throw new ZgqError('ZGQ_UNSUPPORTED', 'this is a manifest: open the folder that it is in, ending with /', { path })
  if (first.byteLength !== undefined && first.byteLength !== fileByteLength)
    throw new ZgqError(
      first.byteLength < fileByteLength ? 'ZGQ_TRUNCATED' : 'ZGQ_CORRUPT',
      `the file has ${first.byteLength} bytes, its header says ${fileByteLength}`,
      { path }
    )
  const openingEnd = PAGE_BYTES + openingByteLength
  const centroids = { offset: alignUp(openingEnd, PAGE_BYTES), byteLength: centroidPageCount * PAGE_BYTES }
  const hasCentroids = centroids.byteLength > 0 && centroids.byteLength <= MOST_CENTROID_BYTES
  const end = hasCentroids ? centroids.offset + centroids.byteLength : openingEnd
  const bytes = await readOn(from, '', { bytes: first.bytes, end })
  return {
    header,
    records: decodeOpening(bytes.subarray(PAGE_BYTES, openingEnd), header, path),
    path,
    manifest: undefined,
    byteLength: openingEnd,
    centroidPages: hasCentroids ? bytes.subarray(centroids.offset, end) : undefined
  }
}

async function readManifest(from: HeadReader): Promise<RemoteHead> {
  const { number, got } = await findManifest(from)
  const name = manifestName(number)
  const path = pathOf(from, name)
  const header = expectHeader(got.bytes, path)
  if (header.fileByteLength !== 0)
    throw new ZgqError('ZGQ_CORRUPT', 'this manifest has the head of a single file', { path })
  const end = PAGE_BYTES + header.openingByteLength
  const bytes = await readOn(from, name, { bytes: got.bytes, end })
  return {
    header,
    records: decodeOpening(bytes.subarray(PAGE_BYTES, end), header, path),
    path,
    manifest: number,
    byteLength: end,
    centroidPages: undefined
  }
}

/** A manifest and the bytes that it begins with. */
interface FoundManifest {
  readonly number: number
  readonly got: GotBytes
}

/** Finds the highest manifest: by the list of names where a source has one, else from the number in `latest` on. */
async function findManifest(from: HeadReader): Promise<FoundManifest> {
  const { source, reader, signal, tally } = from
  const names = await reader.list('manifest-', signal, tally)
  if (names !== undefined) {
    const number = names.reduce((most, name) => Math.max(most, manifestNumber(name) ?? 0), 0)
    if (number > 0) return { number, got: await getManifest(from, number) }
    throw new ZgqError('ZGQ_NOT_FOUND', 'there is no manifest of a packed index here', { path: source.place })
  }
  const hint = await readLatest(from)
  const [atHint, next] = await Promise.all([findNext(from, hint), findNext(from, hint + 1)])
  if (next !== undefined) return await findHighest(from, { number: hint + 1, got: next })
  if (atHint !== undefined) return { number: hint, got: atHint }
  // A hint at nothing is none; asking for the first one says why there is nothing.
  return await findHighest(from, { number: 1, got: await getManifest(from, 1) })
}

/** Goes on from a manifest as long as there is a next one. */
async function findHighest(from: HeadReader, first: FoundManifest): Promise<FoundManifest> {
  let highest = first
  for (;;) {
    const next = await findNext(from, highest.number + 1)
    if (next === undefined) return highest
    highest = { number: highest.number + 1, got: next }
  }
}

/** The number in `latest`, which may be behind, or not be there. */
async function readLatest(from: HeadReader): Promise<number> {
  const got = await found(get(from, LATEST_NAME, { offset: 0, byteLength: 32 }))
  const text = got === undefined ? '' : new TextDecoder().decode(got.bytes).trim()
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : 1
}

async function getManifest(from: HeadReader, number: number): Promise<GotBytes> {
  return await get(from, manifestName(number), { offset: 0, byteLength: MANIFEST_BYTES })
}

async function findNext(from: HeadReader, number: number): Promise<GotBytes | undefined> {
  return await found(getManifest(from, number))
}

/** Undefined where there is no such object; buckets that may not be listed answer 403 then. */
async function found(getting: Promise<GotBytes>): Promise<GotBytes | undefined> {
  try {
    return await getting
  } catch (error) {
    if (error instanceof ZgqError && error.code === 'ZGQ_NOT_FOUND') return undefined
    if (error instanceof RequestFailure && error.facts.status === 403) return undefined
    throw error
  }
}

function expectHeader(bytes: Uint8Array, path: string): PackedHeader {
  const header = decodePackedHeader(bytes.subarray(0, PAGE_BYTES), path)
  if (header.openedByteLength > MOST_OPENED_BYTES)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `the head of this index takes ${header.openedByteLength} bytes, expected at most ${MOST_OPENED_BYTES} from ` +
        'afar: build with fewer zones',
      { path }
    )
  return header
}

/** Reads what follows bytes of an object up to `end`. */
async function readOn(
  from: HeadReader,
  name: string,
  { bytes, end }: { readonly bytes: Uint8Array; readonly end: number }
): Promise<Uint8Array> {
  const missing = end - bytes.byteLength
  if (missing <= 0) return bytes
  const rest = await get(from, name, { offset: bytes.byteLength, byteLength: missing })
  if (rest.bytes.byteLength < missing)
    throw new ZgqError('ZGQ_TRUNCATED', `it ends before byte ${end}, in the middle of its head`, {
      path: pathOf(from, name)
    })
  const whole = new Uint8Array(end)
  whole.set(bytes)
  whole.set(rest.bytes, bytes.byteLength)
  return whole
}

async function get(
  { reader, signal, tally }: HeadReader,
  name: string,
  range: { readonly offset: number; readonly byteLength: number }
): Promise<GotBytes> {
  return await reader.get(name, range.offset, range.byteLength, signal, tally)
}

function pathOf({ source }: HeadReader, name: string): string {
  return placeOf(source, name) ?? (name === '' ? 'the packed index' : name)
}
