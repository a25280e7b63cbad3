// Holds every extent against its file and every count against the others, so that the rest of the code may trust them.
// The layout leaves no choice: files are named by their numbers, extents follow each other, and a file ends where its
// last part ends (spec, sections 1, 3, 5 and 8.3).

import { ZgqError } from '../errors.ts'
import { columnsTableBytes } from '../format/columns.ts'
import { directoryRecordBytes, FOOTER } from '../format/directory.ts'
import { alignUp, dataFileName, ELEMENT_BYTES, PAGE_BYTES, pageCount, type Extent } from '../format/layout.ts'
import type { CatalogueZone } from '../format/catalogue.ts'
import type { Snapshot } from './snapshot.ts'

type Placed = Pick<Snapshot, 'meta' | 'files' | 'zones'>

/** Rows of a zone are numbered in 31 bits. */
const MOST_ZONE_ROWS = 2 ** 31 - 1

/** Throws ZGQ_CORRUPT where the catalogue contradicts the layout or itself. */
export function checkPlaces(snapshot: Placed, path: string): void {
  const { meta, files, zones } = snapshot
  const damage = (what: string): ZgqError =>
    new ZgqError('ZGQ_CORRUPT', `the catalogue contradicts itself: ${what}`, { path })
  if (zones.length !== meta.zoneCount) throw damage(`${zones.length} zones, expected ${meta.zoneCount}`)
  const count = zones.reduce((sum, zone) => sum + zone.rowCount, 0)
  if (count !== meta.count || count === 0) throw damage(`the zones have ${count} rows, the index ${meta.count}`)
  if (new Set(zones.map((zone) => zone.segment)).size !== zones.length) throw damage('two zones have the same segment')
  const ends = nameFiles(snapshot, damage)
  for (const zone of zones) {
    if (zone.rowCount < 1 || zone.rowCount > MOST_ZONE_ROWS) throw damage(`zone ${zone.zone} has ${zone.rowCount} rows`)
    const end = ends.at(zone.file)
    if (end === undefined || files[zone.file].kind !== 'vectors')
      throw damage(`the segment of zone ${zone.zone} is in file ${zone.file}, which is not a vectors file`)
    end.push(zone)
    if (meta.bits === 0) continue
    const codesEnd = ends.at(zone.codesFile)
    if (codesEnd === undefined || files[zone.codesFile].kind !== 'codes')
      throw damage(`the codes of zone ${zone.zone} are in file ${zone.codesFile}, which is not a codes file`)
    codesEnd.push(zone)
  }
  for (const [number, ofFile] of ends.entries()) {
    const found = files[number].kind === 'vectors' ? endOfVectors(ofFile, meta.dim, damage) : endOfCodes(ofFile, damage)
    if (found !== files[number].byteLength)
      throw damage(`${files[number].name} ends at byte ${found}, not at ${files[number].byteLength}`)
  }
}

/** Checks the files by themselves; returns an empty list for the zones of each. */
function nameFiles({ meta, files }: Placed, damage: (what: string) => ZgqError): CatalogueZone[][] {
  if (files.length !== meta.fileCount) throw damage(`${files.length} files, expected ${meta.fileCount}`)
  const shards = { vectors: 0, codes: 0 }
  return files.map(({ kind, name }) => {
    if (kind === 'vectors' && shards.codes > 0) throw damage('a vectors file is listed after a codes file')
    if (kind === 'codes' && meta.bits === 0) throw damage('it has a codes file and 0 bits')
    const expected = dataFileName(kind, meta.generation, shards[kind]++)
    if (name !== expected) throw damage(`a file is called ${name}, expected ${expected}`)
    return []
  })
}

/** Expects segments, then columns, then the directory, each on the page after the last; returns where the file ends. */
function endOfVectors(zones: readonly CatalogueZone[], dim: number, damage: (what: string) => ZgqError): number {
  const expectExtent = extentChecker(damage)
  let end = PAGE_BYTES
  for (const zone of zones) {
    const segment = { offset: zone.segmentOffset, byteLength: zone.rowCount * dim * ELEMENT_BYTES }
    end = expectExtent(segment, end, `the segment of zone ${zone.zone}`)
  }
  for (const zone of zones) {
    const { columnsOffset: offset, columnsByteLength: byteLength } = zone
    // Ids and page CRCs at least.
    const least = columnsTableBytes(2) + zone.rowCount * 8 + pageCount(zone.rowCount * dim * ELEMENT_BYTES) * 4
    if (byteLength < least) throw damage(`the columns of zone ${zone.zone} have ${byteLength} bytes`)
    end = expectExtent({ offset, byteLength }, end, `the columns of zone ${zone.zone}`)
  }
  return alignUp(end + zones.length * directoryRecordBytes(dim) + FOOTER.byteLength, PAGE_BYTES)
}

function endOfCodes(zones: readonly CatalogueZone[], damage: (what: string) => ZgqError): number {
  const expectExtent = extentChecker(damage)
  let end = PAGE_BYTES
  for (const { zone, rowCount, codesOffset: offset, codesByteLength: byteLength } of zones) {
    if (byteLength < columnsTableBytes(3) + rowCount * 8)
      throw damage(`the codes of zone ${zone} have ${byteLength} bytes`)
    end = expectExtent({ offset, byteLength }, end, `the codes of zone ${zone}`)
  }
  return end
}

type ExpectExtent = (extent: Extent, start: number, name: string) => number

function extentChecker(damage: (what: string) => ZgqError): ExpectExtent {
  return ({ offset, byteLength }, start, name) => {
    if (offset !== start) throw damage(`${name} is at byte ${offset}, expected ${start}`)
    const end = offset + pageCount(byteLength) * PAGE_BYTES
    if (!Number.isSafeInteger(end)) throw damage(`${name} has ${byteLength} bytes`)
    return end
  }
}
