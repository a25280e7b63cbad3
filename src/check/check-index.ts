// Verifies a whole index: what open verifies, then every column and page, the directories, the ids, and what stands
// beside the index.

import { existsSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { expectPath } from '../arguments.ts'
import { ZgqError } from '../errors.ts'
import type { CatalogueZone } from '../format/catalogue.ts'
import { decodeIds } from '../format/columns.ts'
import { decodeDirectory, decodeFooter, directoryRecordBytes, encodeDirectory, FOOTER } from '../format/directory.ts'
import { alignUp, bytesEqual, CATALOGUE_NAME, checksum, PAGE_BYTES } from '../format/layout.ts'
import { checkDatabase, readCatalogue } from '../catalogue/reader.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { checkHeaders, findDataFiles } from '../storage/data-files.ts'
import { openReaders, type Readers } from '../storage/open-readers.ts'
import type { DataFile } from '../storage/reader.ts'
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
  const snapshot = readCatalogue(folder)
  checkDatabase(snapshot)
  const files = findDataFiles(snapshot)
  const readers = openReaders(snapshot.folder, files, 'pread')
  try {
    checkHeaders(snapshot, files, readers.fresh)
    files.forEach((file, number) => {
      if (snapshot.files[number].kind === 'vectors') checkDirectory({ file, number }, snapshot, readers)
      else checkCodesExtents({ file, number }, snapshot)
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

async function checkZones(snapshot: Snapshot, zoneFiles: ZoneFiles, options: CheckOptions): Promise<void> {
  const { zones, meta } = snapshot
  const ids = new Float64Array(meta.count)
  let rows = 0
  for (const zone of zones) {
    zoneFiles.verifyZone(zone)
    const ofZone = decodeIds(zoneFiles.readIdWords(zone))
    expectAscending(ofZone, zone, snapshot)
    ids.set(ofZone, rows)
    rows += zone.rowCount
    options.onProgress?.({ done: rows, total: meta.count })
    await setImmediate()
    options.signal?.throwIfAborted()
  }
  ids.sort()
  for (let i = 1; i < ids.length; i++) {
    if (ids[i] === ids[i - 1])
      throw new ZgqError('ZGQ_CORRUPT', `id ${ids[i]} stands in two zones`, { path: snapshot.folder })
  }
}

function expectAscending(ids: Float64Array, zone: CatalogueZone, snapshot: Snapshot): void {
  for (let i = 0; i < ids.length; i++) {
    const isFine = Number.isSafeInteger(ids[i]) && (i === 0 || ids[i] > ids[i - 1])
    if (!isFine)
      throw new ZgqError(
        'ZGQ_CORRUPT',
        `row ${i} of zone ${zone.zone} has id ${ids[i]}, expected a safe integer above the one before`,
        { path: snapshot.folder }
      )
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
  const directory = new Uint8Array(length)
  readers.fresh.read(number, footer.directoryOffset, directory)
  if (checksum(directory) !== footer.directoryCrc)
    throw damage(
      `the directory has CRC ${checksum(directory)}, expected ${footer.directoryCrc}`,
      footer.directoryOffset
    )
  decodeDirectory(directory, meta.dim, file.path).forEach((record, i) => {
    const isSame = bytesEqual(encodeDirectory([record], meta.dim), encodeDirectory([zones[i]], meta.dim))
    if (!isSame)
      throw damage(
        `the directory and the catalogue differ about zone ${zones[i].zone}`,
        footer.directoryOffset + i * directoryRecordBytes(meta.dim)
      )
  })
}

/**
 * Expects one extent after the other from the first page behind the header to the end of a codes file, in the order of
 * the zones.
 */
function checkCodesExtents(found: { file: DataFile; number: number }, snapshot: Snapshot): void {
  const { file, number } = found
  const damage = (what: string, offset: number): ZgqError =>
    new ZgqError('ZGQ_CORRUPT', what, { path: file.path, offset })
  let end = PAGE_BYTES
  for (const zone of snapshot.zones.filter((other) => other.codesFile === number)) {
    if (zone.codesOffset !== end)
      throw damage(
        `the codes of zone ${zone.zone} start at byte ${zone.codesOffset}, expected ${end}`,
        zone.codesOffset
      )
    end += alignUp(zone.codesByteLength, PAGE_BYTES)
  }
  if (end !== file.byteLength) throw damage(`the file has ${file.byteLength} bytes, its codes end at ${end}`, end)
}

function findLeftovers(path: string, snapshot: Snapshot): string[] {
  const known = new Set([CATALOGUE_NAME, ...snapshot.files.map((file) => file.name)])
  const notes = readdirSync(snapshot.folder)
    .filter((name) => !known.has(name))
    .map((name) => `${name} is in the folder and not part of the index`)
  const beside = resolve(path)
  if (existsSync(`${beside}.building`)) notes.push(`${beside}.building is there: a build is running or died`)
  if (existsSync(`${beside}.replaced`))
    notes.push(`${beside}.replaced is there: perhaps an old index whose replacement was interrupted`)
  return notes
}
