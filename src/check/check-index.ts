// Verifies a whole index: what open verifies, then every column and page, the directories, the ids, and what stands
// beside the index.

import { existsSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { expectPath } from '../arguments.ts'
import { isDenied, ZgqError } from '../errors.ts'
import { decodeIds } from '../format/columns.ts'
import { decodeDirectory, decodeFooter, directoryRecordBytes, encodeDirectory, FOOTER } from '../format/directory.ts'
import { bytesEqual, CATALOGUE_NAME, checksum } from '../format/layout.ts'
import { checkDatabase, withSnapshot } from '../catalogue/reader.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { checkHeaders, findDataFiles } from '../storage/data-files.ts'
import { openReaders, type Readers } from '../storage/open-readers.ts'
import type { DataFile } from '../storage/reader.ts'
import { verifyZone } from '../storage/verify-zone.ts'
import { ZoneFiles } from '../storage/zone-files.ts'
import { checkOptionNames } from '../options.ts'

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
    files.forEach((file, number) => {
      if (snapshot.files[number].kind === 'vectors') checkDirectory({ file, number }, snapshot, readers)
    })
    const zoneFiles = new ZoneFiles(snapshot, readers, { verify: 'touch', paths: files.map((file) => file.path) })
    await checkZones(snapshot, zoneFiles, options)
    const bytesChecked = files.reduce((sum, file) => sum + file.byteLength, snapshot.catalogueBytes)
    const { meta } = snapshot
    return {
      ok: true,
      path: folder,
      count: meta.count,
      zones: meta.zoneCount,
      files: files.length,
      bytesChecked,
      pagesChecked: zoneFiles.counters.pagesVerified,
      notes: findLeftovers(folder, snapshot)
    }
  } finally {
    readers.close()
  }
}

/** Checks the database, and opens the files whose headers fit it. */
function openFiles(snapshot: Snapshot): { snapshot: Snapshot; files: readonly DataFile[]; readers: Readers } {
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

async function checkZones(snapshot: Snapshot, zoneFiles: ZoneFiles, options: CheckOptions): Promise<void> {
  const { zones, meta } = snapshot
  // Where ids are very many they are compared in portions, so that they need not all be in memory.
  const portions = Math.ceil(meta.count / IDS_AT_A_TIME)
  for (let portion = 0; portion < portions; portion++) {
    const ids = new IdPortion(portion, portions)
    let rows = 0
    for (const zone of zones) {
      if (portion === 0) verifyZone(zone, zoneFiles, snapshot)
      ids.take(decodeIds(zoneFiles.readIdWords(zone)))
      rows += zone.rowCount
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

/** The ids of one portion out of several, by their remainders. */
class IdPortion {
  readonly #portion: number
  readonly #portions: number
  #ids = new Float64Array(1024)
  #count = 0

  constructor(portion: number, portions: number) {
    this.#portion = portion
    this.#portions = portions
  }

  take(ids: Float64Array): void {
    for (const id of ids) {
      if (id % this.#portions !== this.#portion) continue
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

/** Holds directory and footer of a file against the catalogue. */
function checkDirectory(found: { file: DataFile; number: number }, snapshot: Snapshot, readers: Readers): void {
  const { file, number } = found
  const { meta } = snapshot
  const damage = (what: string, offset: number): ZgqError =>
    new ZgqError('ZGQ_CORRUPT', what, { path: file.path, offset })
  const footerOffset = file.byteLength - FOOTER.byteLength
  const bytes = new Uint8Array(FOOTER.byteLength)
  readers.fresh.read(number, footerOffset, bytes)
  const footer = decodeFooter(bytes, file.path, footerOffset)
  const zones = snapshot.zones.filter((zone) => zone.file === number)
  if (!bytesEqual(footer.indexId, meta.indexId))
    throw new ZgqError('ZGQ_MISMATCH', 'the footer is of another index', { path: file.path, offset: footerOffset })
  const length = zones.length * directoryRecordBytes(meta.dim)
  if (
    footer.zoneCount !== zones.length ||
    footer.directoryByteLength !== length ||
    footer.directoryOffset + length > footerOffset
  ) {
    throw damage(`the footer says ${footer.zoneCount} zones, the catalogue ${zones.length}`, footerOffset)
  }
  const recordBytes = directoryRecordBytes(meta.dim)
  let computed = 0
  for (const [i, zone] of zones.entries()) {
    const offset = footer.directoryOffset + i * recordBytes
    const bytes = new Uint8Array(recordBytes)
    readers.fresh.read(number, offset, bytes)
    computed = checksum(bytes, computed)
    const [record] = decodeDirectory(bytes, meta.dim, file.path)
    if (!bytesEqual(encodeDirectory([record], meta.dim), encodeDirectory([zone], meta.dim)))
      throw damage(`the directory and the catalogue differ about zone ${zone.zone}`, offset)
  }
  if (computed !== footer.directoryCrc)
    throw damage(`the directory has CRC ${computed}, expected ${footer.directoryCrc}`, footer.directoryOffset)
}

function findLeftovers(path: string, snapshot: Snapshot): string[] {
  const known = new Set([CATALOGUE_NAME, ...snapshot.files.map((file) => file.name)])
  const notes = readdirSync(snapshot.folder)
    .filter((name) => !known.has(name))
    .map((name) => `${name} is in the folder and not part of the index`)
  return [...notes, ...findBuildsBeside(resolve(path))]
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
