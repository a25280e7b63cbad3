// Verifies a whole index: what open verifies, then every column and page, the directories, the ids, and what stands
// beside the index.

import { randomInt } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { expectPath } from '../arguments.ts'
import { isDenied, wrapReadError, ZgqError } from '../errors.ts'
import { decodeBuildFacts } from '../format/build-facts.ts'
import { decodeIds } from '../format/columns.ts'
import { fileNameOf } from '../format/file-record.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import { highWord, lowWord } from '../format/u64.ts'
import { checkDatabase, withSnapshot } from '../catalogue/reader.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { checkHeaders, findDataFiles } from '../storage/data-files.ts'
import { openReaders, type Readers } from '../storage/open-readers.ts'
import type { DataFiles } from '../storage/reader.ts'
import { SegmentFiles } from '../storage/segment-files.ts'
import { verifySegment } from '../storage/verify-segment.ts'
import { checkOptionNames } from '../options.ts'
import { checkDirectory } from './check-directory.ts'
import { checkZoneCodes } from './check-zone-codes.ts'

/** The report of `checkIndex`, which resolves only for a sound index. */
export interface CheckReport {
  readonly ok: true
  readonly path: string
  readonly count: number
  readonly zones: number
  /** Data files, without the catalogue. */
  readonly files: number
  readonly bytesChecked: number
  readonly pagesChecked: number
  /** Leftovers of builds that died, and other things that are no damage. */
  readonly notes: readonly string[]
}

/** Options of `checkIndex`. */
export interface CheckOptions {
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Verifies the index in folder `path` (a path or a `file:` URL). Rejects with the first ZgqError on damage, or with the
 * signal's reason.
 */
export async function checkIndex(path: string | URL, options: CheckOptions = {}): Promise<CheckReport> {
  const folder = expectPath('path', path)
  checkOptionNames('checkIndex', options, ['onProgress', 'signal'])
  const { snapshot, files, readers } = withSnapshot(folder, openFiles)
  try {
    const segments = segmentsByFile(snapshot)
    for (const record of snapshot.files) {
      const found = { files, reader: readers.fresh, segments: segments.get(record.file) ?? [] }
      if (record.kind === 'vectors') checkDirectory(record, snapshot, found)
    }
    decodeBuildFacts(snapshot.encodedBuildFacts, folder)
    checkZoneCodes(snapshot, folder)
    const segmentFiles = new SegmentFiles(snapshot.meta, readers, { verify: 'touch', files, usesOrdinals: false })
    await checkSegments(snapshot, segmentFiles, options)
    const bytesChecked = snapshot.files.reduce((sum, file) => sum + file.byteLength, snapshot.catalogueBytes)
    const { meta } = snapshot
    return {
      ok: true,
      path: folder,
      count: meta.count,
      zones: meta.zoneCount,
      files: snapshot.files.length,
      bytesChecked,
      pagesChecked: segmentFiles.counters.pagesVerified,
      notes: findLeftovers(folder, snapshot)
    }
  } finally {
    readers.close()
  }
}

/** Groups segments by the files of their rows. */
function segmentsByFile({ segments }: Snapshot): Map<number, Segment[]> {
  const found = new Map<number, Segment[]>()
  for (const segment of segments) {
    const known = found.get(segment.rows.file)
    if (known === undefined) found.set(segment.rows.file, [segment])
    else known.push(segment)
  }
  return found
}

/** Checks the database, and opens the files whose headers fit it. */
function openFiles(snapshot: Snapshot): { snapshot: Snapshot; files: DataFiles; readers: Readers } {
  checkDatabase(snapshot)
  const files = findDataFiles(snapshot)
  const readers = openReaders(snapshot.folder, files, 'pread')
  try {
    checkHeaders(snapshot, files, readers.fresh)
    return { snapshot, files, readers }
  } catch (error) {
    readers.close()
    throw error
  }
}

async function checkSegments(snapshot: Snapshot, files: SegmentFiles, options: CheckOptions): Promise<void> {
  const { segments, meta } = snapshot
  // Where ids are very many they are compared in portions, so that they need not all be in memory.
  const portions = Math.ceil(meta.count / IDS_AT_A_TIME)
  // Nobody who makes a file knows it, so that no file has all its ids in one portion.
  const salt = randomInt(2 ** 32)
  for (let portion = 0; portion < portions; portion++) {
    const ids = new IdPortion(portion, { portions, salt })
    let rows = 0
    for (const segment of segments) {
      if (portion === 0) verifySegment(segment, files, snapshot)
      files.eachIds(segment, (words) => {
        ids.take(decodeIds(words))
      })
      rows += segment.rowCount
      if (portion === 0) options.onProgress?.({ done: rows, total: meta.count })
      await setImmediate()
      options.signal?.throwIfAborted()
    }
    const repeated = ids.findRepeated()
    if (repeated !== undefined)
      throw new ZgqError('ZGQ_CORRUPT', `duplicate id ${repeated}: two rows have it`, { path: snapshot.folder })
  }
}

/** Ids that are compared with each other at a time: 32 MB. */
const IDS_AT_A_TIME = 2 ** 22

/** The ids of one portion out of several. */
class IdPortion {
  readonly #portion: number
  readonly #of: { readonly portions: number; readonly salt: number }
  #ids = new Float64Array(1024)
  #count = 0

  constructor(portion: number, of: { portions: number; salt: number }) {
    this.#portion = portion
    this.#of = of
  }

  take(ids: Float64Array): void {
    const { portions, salt } = this.#of
    for (const id of ids) {
      if (mixed(id, salt) % portions !== this.#portion) continue
      if (this.#count === this.#ids.length) {
        const more = new Float64Array(this.#count * 2)
        more.set(this.#ids)
        this.#ids = more
      }
      this.#ids[this.#count++] = id
    }
  }

  findRepeated(): number | undefined {
    const sorted = this.#ids.subarray(0, this.#count).sort()
    for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) return sorted[i]
    return undefined
  }
}

/** Mixes an id with the salt to 32 bits: the finalizer of MurmurHash3 over both words. */
function mixed(id: number, salt: number): number {
  let hash = lowWord(id) ^ Math.imul(highWord(id) + 1, 0x9e37_79b1) ^ salt
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function findLeftovers(path: string, snapshot: Snapshot): string[] {
  const known = new Set([CATALOGUE_NAME, ...snapshot.files.map(fileNameOf)])
  const notes = listFolder(snapshot.folder)
    .filter((name) => !known.has(name))
    .map((name) => `${name} is in the folder and not part of the index`)
  return [...notes, ...findBuildsBeside(resolve(path))]
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    throw wrapReadError(error, folder, 'list the folder of the index')
  }
}

function findBuildsBeside(path: string): string[] {
  const notes: string[] = []
  try {
    if (existsSync(`${path}.building`)) notes.push(`${path}.building is there: a build is running, or was stopped`)
    if (existsSync(`${path}.replaced`))
      notes.push(`${path}.replaced is there: perhaps an old index whose replacement was interrupted`)
  } catch (error) {
    if (!isDenied(error)) throw error
    notes.push(`node --permission forbids to look for leftovers of builds: it does not allow reading ${path}.building`)
  }
  return notes
}
