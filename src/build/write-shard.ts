// Writes a shard: its zones, one after the other, from the parts of the input to vectors and codes files. Sizes are
// evened out here, where all rows of a zone are known.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { encodeIds } from '../format/columns.ts'
import type { FileRecord } from '../format/file-record.ts'
import type { FileExtent } from '../format/segment-record.ts'
import type { ZoneEncoder } from '../quantizer/zone-encoder.ts'
import { CodesWriter } from '../storage/codes-writer.ts'
import { VectorsWriter, type WrittenSegment } from '../storage/vectors-writer.ts'
import type { OnRows } from './assign-part.ts'
import { indexIdOf } from './join-parts.ts'
import { discardPartsOfShard, ShardRows, type ZoneRun } from './parts.ts'
import { shardPath, type Site } from './site.ts'
import type { RowSource } from '../input/row-source.ts'
import { splitZone } from './split-zone.ts'
import { encodeArray, writeStored } from './stored-json.ts'
import { fillFolder } from './temporary-folder.ts'
import type { TaskContext } from './task-context.ts'
import type { ZoneStatistics } from './zone-statistics.ts'

export const GENERATION = 1
/** Notes on progress are at least so many bytes of rows apart. */
const NOTE_BYTES = 2 ** 20

/** Facts of a written shard, in its folder. Numbers of files are its own, vectors and codes apart, from 0 on. */
export interface StoredShard {
  readonly vectorsFiles: readonly FileRecord[]
  readonly codesFiles: readonly FileRecord[]
  /** The centroids are beside them: a typed array would become a list of decimals. */
  readonly segments: readonly Omit<WrittenSegment, 'centroid'>[]
  /** Of the zones of the segments: float32, segments * dim. */
  readonly centroids: string
  /** Of each segment; empty with `bits: 0`. */
  readonly codes: readonly FileExtent[]
}

export const SHARD_FACTS = 'facts.json'

/** Tells whether a shard was written already. */
export function isWritten(site: Site, shard: number): boolean {
  return existsSync(shardPath(site, shard))
}

/** Writes shard `shard` into its folder and removes what it was made of. */
export async function writeShard(context: TaskContext, shard: number, onRows: OnRows): Promise<void> {
  const { site } = context
  const facts = {
    indexId: indexIdOf(site.recipe, context.readAssignment().inputDigest),
    generation: GENERATION,
    dim: site.recipe.dim,
    metric: site.recipe.metric
  }
  await fillFolder(shardPath(site, shard), async (folder) => {
    const vectors = new VectorsWriter({ ...facts, folder })
    const codes = new CodesWriter({ ...facts, folder })
    try {
      await writeZones({ context, vectors, codes, onRows }, shard)
      vectors.finish()
      const { files, extents } = codes.finish()
      const centroids = Buffer.concat(
        vectors.segments.map(
          ({ centroid }) => new Uint8Array(centroid.buffer, centroid.byteOffset, centroid.byteLength)
        )
      )
      const stored: StoredShard = {
        vectorsFiles: vectors.files,
        codesFiles: files,
        segments: vectors.segments.map(({ centroid: _, ...segment }) => segment),
        centroids: encodeArray(centroids),
        codes: extents
      }
      writeStored(join(folder, SHARD_FACTS), stored, site.recipe.isDurable)
    } finally {
      vectors.close()
      codes.close()
    }
  })
  discardPartsOfShard(site, shard)
}

interface ShardWork {
  readonly context: TaskContext
  readonly vectors: VectorsWriter
  readonly codes: CodesWriter
  readonly onRows: OnRows
}

async function writeZones(work: ShardWork, shard: number): Promise<void> {
  const { context, onRows } = work
  const { recipe } = context.site
  const { shardStarts } = context.readTraining()
  const meanRows = recipe.count / recipe.zones
  let zone = zonesBefore(context.readAssignment().zoneRows, shardStarts[shard], meanRows)
  let rows = 0
  const { runRows, ...tools } = context.startWriting()
  const shardRows = new ShardRows(
    context.site,
    { number: shard, firstZone: shardStarts[shard], endZone: shardStarts[shard + 1] },
    runRows
  )
  for (const run of shardRows.runs()) {
    for (const found of run.zones) {
      for (const piece of evenPieces(run.rows, found, { meanRows, metric: recipe.metric })) {
        writeZone({ ...work, ...tools, rows: run.rows }, piece, zone++)
        rows += piece.positions.length
        if (rows * recipe.dim * 4 < NOTE_BYTES) continue
        await onRows(rows)
        rows = 0
      }
    }
  }
  await onRows(rows)
}

/**
 * Counts the zones that are written before trained zone `end`: how many pieces a zone gives follows from its rows
 * alone.
 */
function zonesBefore(zoneRows: Uint32Array, end: number, meanRows: number): number {
  return zoneRows.subarray(0, end).reduce((sum, count) => sum + (count === 0 ? 0 : pieceCount(count, meanRows)), 0)
}

/** Zones above twice the mean aimed at are split: a zone of c rows gives c / mean pieces. */
function pieceCount(rows: number, meanRows: number): number {
  return rows <= 2 * meanRows ? 1 : Math.max(2, Math.floor(rows / meanRows))
}

/**
 * Returns the zone, or the pieces of one that is above twice the mean aimed at, so that there are at most twice as many
 * zones as asked for, and none above four times the mean of those there are.
 */
function evenPieces(rows: RowSource, zone: ZoneRun, of: { meanRows: number; metric: string }): ZoneRun[] {
  const count = zone.positions.length
  const pieces = pieceCount(count, of.meanRows)
  if (pieces === 1) return [zone]
  const largest = Math.max(Math.floor(2 * of.meanRows), Math.ceil(count / pieces))
  const zoneRows = {
    count,
    dim: rows.dim,
    readRow(position: number, target: Float32Array): void {
      rows.readRows(zone.positions[position], target)
      if (of.metric === 'cosine') scaleToUnit(target)
    }
  }
  return splitZone(zoneRows, pieces, largest).map((members) => ({
    zone: zone.zone,
    positions: members.map((member) => zone.positions[member]),
    ids: Float64Array.from(members, (member) => zone.ids[member])
  }))
}

function scaleToUnit(row: Float32Array): void {
  let norm2 = 0
  for (let i = 0; i < row.length; i++) norm2 += row[i] * row[i]
  const scale = 1 / Math.sqrt(norm2)
  for (let i = 0; i < row.length; i++) row[i] *= scale
}

function writeZone(
  work: ShardWork & { rows: RowSource; statistics: ZoneStatistics; encoder: ZoneEncoder | undefined },
  piece: ZoneRun,
  zone: number
): void {
  const { statistics, encoder, rows } = work
  const facts = statistics.measure(rows, piece.positions)
  const rowCount = piece.positions.length
  const ids = encodeIds(piece.ids)
  const pageCrcs = work.vectors.writeSegment({
    segment: zone, // the segments of a build are numbered by their zones
    zone,
    rowCount,
    rowRuns: statistics.eachChunk(rows, piece.positions),
    ids,
    ...facts
  })
  if (encoder === undefined) return
  const codes = encoder.encode(facts.centroid, rowCount, statistics.eachScaledChunk(rows, piece.positions))
  const { planes, refinedCodes } = codes
  work.codes.writeSegment({ segment: zone, rowCount, ids, pageCrcs, planes, refinedCodes })
}
