// Folds an index by hand, as simply as can be: rows of segments that are given up become segments of new zones, zones
// without segments go, and what is left is renumbered, two of them becoming one zone. So readers are tested without
// what folds indexes. Codes are not around the centroids of zones that were joined: estimates of theirs are worthless.

import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'

import { readCatalogue } from '../../src/catalogue/reader.ts'
import { metaChecksum, numberedChunks } from '../../src/catalogue/rows.ts'
import type { Snapshot } from '../../src/catalogue/snapshot.ts'
import { CHUNK_DECLARATIONS, insertStatement } from '../../src/catalogue/tables.ts'
import { countBits } from '../../src/format/bitmap.ts'
import { encodeChangesMeta } from '../../src/format/changes-record.ts'
import { chunksDigest } from '../../src/catalogue/chunks-digest.ts'
import { CHUNK_TABLES, centroidChunks, chunkChecksum } from '../../src/format/chunks.ts'
import { encodeFileRecords, fileNameOf } from '../../src/format/file-record.ts'
import { encodeIndexMeta } from '../../src/format/index-record.ts'
import { CATALOGUE_NAME } from '../../src/format/layout.ts'
import { encodeSegmentRecords, type SegmentRecord } from '../../src/format/segment-record.ts'
import type { Segment } from '../../src/format/segment-table.ts'
import { encodeCentroids } from '../../src/quantizer/encode-centroids.ts'
import { documentAt, placesOf } from '../../src/search/index-rows.ts'
import { isFresh } from '../../src/search/lookup.ts'
import { OpenIndex } from '../../src/search/open-index.ts'
import type { StoredDocument, Id } from '../../src/types.ts'
import { writeDelta } from '../../src/write/delta-file.ts'
import { rowsOf } from './delta-index.ts'
import { memoryOf } from './kernels.ts'

/** What is left of the files that nobody names any more. */
export interface HandFolded {
  /** Removes them. */
  removeFiles(): void
}

/** Folds all fresh rows, and the rows of segments that are not kept. */
export function foldByHand(folder: string, isKept: (segment: Segment) => boolean): HandFolded {
  const before = readCatalogue(folder)
  const { meta, quantizer, fields } = before
  const moved = rowsToMove(folder, isKept)
  const payloads = moved.map(({ payload }) => (typeof payload === 'object' && payload !== null ? payload : undefined))
  const vectors = new Float32Array(moved.length * meta.dim)
  for (const [i, { vector }] of moved.entries()) vectors.set(vector, i * meta.dim)
  const rows = rowsOf({ ids: moved.map(({ id }) => id), vectors, payloads })
  const delta = moved.length === 0 ? undefined : writeDelta({ folder, meta, quantizer, fields }, rows)
  const written = delta === undefined ? [] : delta.segments.map((segment, i) => ({ segment, centroid: row(delta, i) }))
  const kept = [...before.segments].filter(isKept).map((segment) => ({ segment, centroid: row(before, segment.zone) }))
  const built = kept.filter(({ segment }) => segment.zone < meta.zoneCount)
  const deltas = kept.filter(({ segment }) => segment.zone >= meta.zoneCount)
  const own = [...new Set(built.map(({ segment }) => segment.zone))].sort((a, b) => b - a)
  const zones = own.filter((_, i) => i % 2 === 0)
  const zoneCount = zones.length + written.length
  const segments = [
    ...built.map(({ segment }) => ({ ...segment, zone: Math.floor(own.indexOf(segment.zone) / 2) })),
    ...written.map(({ segment }, i) => ({ ...segment, zone: zones.length + i })),
    ...deltas.map(({ segment }, i) => ({ ...segment, zone: zoneCount + i }))
  ].sort((a, b) => a.segment - b.segment)
  const centroids = [...zones.map((zone) => row(before, zone)), ...written.map(({ centroid }) => centroid)]
  publish(before, {
    segments,
    file: delta?.file,
    centroids: joined(centroids),
    deltaCentroids: joined(deltas.map(({ centroid }) => centroid)),
    zoneCount
  })
  return {
    removeFiles() {
      const left = new Set(readCatalogue(folder).files.map(fileNameOf))
      for (const name of before.files.map(fileNameOf)) if (!left.has(name)) unlinkSync(join(folder, name))
    }
  }
  function row(of: { readonly centroids: Float32Array }, zone: number): Float32Array {
    return of.centroids.slice(zone * meta.dim, (zone + 1) * meta.dim)
  }
}

function joined(rows: readonly Float32Array[]): Float32Array {
  return Float32Array.from(rows.flatMap((row) => [...row]))
}

function rowsToMove(folder: string, isKept: (segment: Segment) => boolean): StoredDocument<Id, unknown>[] {
  const index = OpenIndex.open(folder, { mapping: 'pread', cacheBytes: 2 ** 20, verify: 'touch' })
  try {
    const places = [...placesOf(index, undefined)].filter((place) => isFresh(place) || !isKept(place.segment))
    return places.map((place) => documentAt(index.context, place, true))
  } finally {
    index.close()
  }
}

interface Folded {
  readonly segments: readonly SegmentRecord[]
  readonly file: Snapshot['files'][number] | undefined
  readonly centroids: Float32Array
  readonly deltaCentroids: Float32Array
  readonly zoneCount: number
}

function publish({ folder, meta, files: filesBefore, quantizer, changes }: Snapshot, folded: Folded): void {
  const { segments, file, centroids, deltaCentroids, zoneCount } = folded
  const { dim, metric } = meta
  const numbers = new Set(segments.map(({ segment }) => segment))
  const used = new Set(
    segments.flatMap(({ rows, codes, fields, payload }) => [rows, codes, fields, payload].map((extent) => extent.file))
  )
  const files = [...filesBefore.filter((one) => used.has(one.file)), ...(file === undefined ? [] : [file])]
  const planes =
    quantizer === undefined || zoneCount === 0
      ? new Uint8Array(0)
      : encodeCentroids(memoryOf('wasm'), centroids, { dim, metric, quantizer })
  const masks = changes.masks.filter(({ segment }) => numbers.has(segment))
  const patches = changes.patches.filter(({ segment }) => numbers.has(segment))
  const chunks = {
    files: numberedChunks(files, (one) => one.file, encodeFileRecords),
    segments: numberedChunks(segments, ({ segment }) => segment, encodeSegmentRecords),
    zones: centroidChunks(centroids, { first: 0, dim }),
    zone_codes: planes.byteLength === 0 ? [] : [{ first: 0, count: zoneCount, records: planes }],
    delta_zones: centroidChunks(deltaCentroids, { first: 0, dim })
  }
  const database = new Sqlite(join(folder, CATALOGUE_NAME))
  try {
    database.exec('PRAGMA synchronous = OFF; BEGIN IMMEDIATE; DELETE FROM fresh')
    const crcs = CHUNK_TABLES.flatMap((table, i) => {
      database.exec(`DELETE FROM ${table}`)
      const insert = database.prepare(insertStatement(CHUNK_DECLARATIONS[i]))
      return chunks[table].map((chunk) => {
        const crc = chunkChecksum(chunk)
        insert.run(...[chunk.first, chunk.count].map(BigInt), chunk.records, BigInt(crc))
        return crc
      })
    })
    const gone = (rows: readonly { segment: number }[]): number[] =>
      rows.map(({ segment }) => segment).filter((segment) => !numbers.has(segment))
    for (const segment of gone(changes.masks)) database.prepare('DELETE FROM masks WHERE segment = ?').run(segment)
    for (const segment of gone(changes.patches)) database.prepare('DELETE FROM patches WHERE segment = ?').run(segment)
    const index = encodeIndexMeta({
      ...meta,
      generation: meta.generation + 1,
      commit: meta.commit + 1,
      count: segments.reduce((sum, { rowCount }) => sum + rowCount, 0),
      zoneCount,
      deltaZoneCount: deltaCentroids.length / dim,
      segmentCount: segments.length,
      fileCount: files.length,
      nextSegment: Math.max(meta.nextSegment, ...segments.map(({ segment }) => segment + 1)),
      nextFile: Math.max(meta.nextFile, (file?.file ?? 0) + 1),
      digest: chunksDigest(crcs)
    })
    const changed = encodeChangesMeta({
      ...changes.meta,
      nextSequence: changes.meta.nextSequence + 1,
      freshCount: 0,
      freshBytes: 0,
      freshRemoved: changes.meta.freshRemoved + changes.fresh.length,
      deletedCount: masks.reduce((sum, { deleted }) => sum + countBits(deleted), 0),
      patchCount: patches.length
    })
    const put = database.prepare('UPDATE meta SET value = ?, crc = ? WHERE key = ?')
    put.run(index, BigInt(metaChecksum('index', index)), 'index')
    put.run(changed, BigInt(metaChecksum('changes', changed)), 'changes')
    database.exec('COMMIT')
  } finally {
    database.close()
  }
}
