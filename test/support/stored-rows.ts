// What an index holds, read from its files without a search: rows and ids of each zone, and digests of the files.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { CatalogueZone } from '../../src/format/catalogue.ts'
import { decodeColumns, decodeIds } from '../../src/format/columns.ts'
import { readCatalogue } from '../../src/catalogue/reader.ts'

export interface StoredZone {
  readonly zone: CatalogueZone
  readonly ids: readonly number[]
  /** float32, ids.length * dim */
  readonly rows: Float32Array
}

/** Reads all zones of the index in `folder`. */
export function readStored(folder: string): StoredZone[] {
  const { meta, files, zones } = readCatalogue(folder)
  const contents = files.map((file) => readFileSync(join(folder, file.name)))
  return zones.map((zone) => {
    const file = contents[zone.file]
    const columns = Uint8Array.from(file.subarray(zone.columnsOffset, zone.columnsOffset + zone.columnsByteLength))
    const layout = decodeColumns(columns, {
      path: folder,
      offset: zone.columnsOffset,
      segment: zone.segment,
      rowCount: zone.rowCount,
      dim: meta.dim,
      hasInverseNorms: meta.metric === 'cosine',
      headerCrc: zone.columnsCrc,
      bits: 0
    })
    const ids = decodeIds(
      new Uint32Array(columns.slice(layout.ids.offset, layout.ids.offset + layout.ids.byteLength).buffer)
    )
    const rows = new Float32Array(
      Uint8Array.from(file.subarray(zone.segmentOffset, zone.segmentOffset + zone.rowCount * meta.dim * 4)).buffer
    )
    return { zone, ids: Array.from(ids), rows }
  })
}

/** SHA-256 of each data file of the index in `folder`, by name. */
export function dataFileDigests(folder: string): Record<string, string> {
  return digestsOf(
    folder,
    readdirSync(folder).filter((name) => name.endsWith('.zgq'))
  )
}

/** SHA-256 of every file in `folder`, by name. */
export function fileDigests(folder: string): Record<string, string> {
  return digestsOf(folder, readdirSync(folder))
}

function digestsOf(folder: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    [...names].sort().map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex')
    ])
  )
}
