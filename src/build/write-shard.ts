// Writes a shard: its zones, one after the other, from the parts of the input to vectors and codes files. Sizes are
// evened out here, where all rows of a zone are known.

import { join } from 'node:path'

import type { FileRecord } from '../format/file-record.ts'
import { idColumn } from '../format/id-column.ts'
import type { FileExtent } from '../format/segment-record.ts'
import type { ZoneEncoder } from '../quantizer/zone-encoder.ts'
import type { ZoneStatistics } from '../quantizer/zone-statistics.ts'
import { encodeCodes } from '../storage/codes-extent.ts'
import { ExtentsWriter } from '../storage/extents-writer.ts'
import type { GenerationFacts } from '../storage/data-file-writer.ts'
import { VectorsWriter, type WrittenSegment } from '../storage/vectors-writer.ts'
import type { OnRows } from './assign-part.ts'
import { indexIdOf } from './join-parts.ts'
import { IdRunWriter, type StoredIdRuns } from './id-run.ts'
import type { ArtifactFolder } from './artifact-folder.ts'
import { FACTS_NAME } from './artifact-names.ts'
import { ShardRows, type ZoneRun } from './parts.ts'
import type { RowSource } from '../input/row-source.ts'
import { scaleToUnit } from '../quantizer/scale-to-unit.ts'
import { splitZone } from './split-zone.ts'
import { encodeArray, writeStored } from './stored-json.ts'
import type { TaskContext } from './task-context.ts'
import { fieldsExtent, payloadExtent } from './write-documents.ts'

export const GENERATION = 1
/** Notes on progress are at least so many bytes of rows apart. */
const NOTE_BYTES = 2 ** 20

/** Facts of a written shard, in its folder. Numbers of files are its own, those of each kind from 0 on. */
export interface StoredShard {
  readonly files: Readonly<Record<SegmentFileKind, readonly FileRecord[]>>
  /** The centroids are beside them: a typed array would become a list of decimals. */
  readonly segments: readonly Omit<WrittenSegment, 'centroid'>[]
  /** Of the zones of the segments: float32, segments * dim. */
  readonly centroids: string
  /** The ids of all rows, sorted; in a file of the shard's folder. */
  readonly idRuns: StoredIdRuns
  /** Extents of each segment in files of other kinds; empty where the index has none. */
  readonly extents: Readonly<Record<ExtentFileKind, readonly FileExtent[]>>
}

/** Kinds of files that have one extent a segment and nothing else. */
export type ExtentFileKind = 'codes' | 'fields' | 'payload'
export const EXTENT_FILE_KINDS: readonly ExtentFileKind[] = ['codes', 'fields', 'payload']
/** Kinds of files that a shard has, in the order of their numbers. */
export type SegmentFileKind = 'vectors' | ExtentFileKind
export const SEGMENT_FILE_KINDS: readonly SegmentFileKind[] = ['vectors', ...EXTENT_FILE_KINDS]

/** Writes shard `shard`. */
export async function writeShard(
  context: TaskContext,
  shard: number,
  to: ArtifactFolder & { readonly onRows: OnRows }
): Promise<void> {
  const { site } = context
  const facts = {
    indexId: indexIdOf(site.recipe, context.readAssignment().inputDigest),
    generation: GENERATION,
    dim: site.recipe.dim,
    metric: site.recipe.metric
  }
  const { folder, isDurable, onRows } = to
  const vectors = new VectorsWriter({ ...facts, folder })
  const extents = writersOf({ ...facts, folder })
  const idRuns = new IdRunWriter(folder)
  try {
    await writeZones({ context, vectors, extents, idRuns, onRows }, shard)
    vectors.finish()
    const { codes, fields, payload } = finishAll(extents)
    const centroids = Buffer.concat(
      vectors.segments.map(({ centroid }) => new Uint8Array(centroid.buffer, centroid.byteOffset, centroid.byteLength))
    )
    const stored: StoredShard = {
      files: { vectors: vectors.files, codes: codes.files, fields: fields.files, payload: payload.files },
      segments: vectors.segments.map(({ centroid: _, ...segment }) => segment),
      centroids: encodeArray(centroids),
      idRuns: idRuns.finish(isDurable),
      extents: { codes: codes.extents, fields: fields.extents, payload: payload.extents }
    }
    writeStored(join(folder, FACTS_NAME), stored, isDurable)
  } finally {
    vectors.close()
    idRuns.close()
    for (const kind of EXTENT_FILE_KINDS) extents[kind].close()
  }
}

type ExtentWriters = Readonly<Record<ExtentFileKind, ExtentsWriter>>

/** Makes no file before there is an extent for it. */
function writersOf(facts: GenerationFacts): ExtentWriters {
  return {
    codes: new ExtentsWriter(facts, 'codes'),
    fields: new ExtentsWriter(facts, 'fields'),
    payload: new ExtentsWriter(facts, 'payload')
  }
}

function finishAll(writers: ExtentWriters): Record<ExtentFileKind, ReturnType<ExtentsWriter['finish']>> {
  return { codes: writers.codes.finish(), fields: writers.fields.finish(), payload: writers.payload.finish() }
}

interface ShardWork {
  readonly context: TaskContext
  readonly vectors: VectorsWriter
  readonly extents: ExtentWriters
  readonly idRuns: IdRunWriter
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

function writeZone(
  work: ShardWork & { rows: RowSource; statistics: ZoneStatistics; encoder: ZoneEncoder | undefined },
  piece: ZoneRun,
  zone: number
): void {
  const { statistics, encoder, rows } = work
  const facts = statistics.measure(rows, piece.positions)
  const rowCount = piece.positions.length
  const documents = work.context.openDocuments()
  const given = documents === undefined ? piece.ids : documents.ids(piece.ids)
  const ids = idColumn(given)
  work.idRuns.collect(zone, given)
  const pageCrcs = work.vectors.writeSegment({
    segment: zone, // the segments of a build are numbered by their zones
    zone,
    rowCount,
    rowRuns: statistics.eachChunk(rows, piece.positions),
    ids,
    ...facts
  })
  const { extents } = work
  const { fields = [], hasPayloads = false } = work.context.site.recipe.documents ?? {}
  if (documents !== undefined && fields.length > 0)
    extents.fields.write(fieldsExtent(documents, { segment: zone, fields }, piece.ids))
  if (documents !== undefined && hasPayloads) extents.payload.write(payloadExtent(documents, zone, piece.ids))
  if (encoder === undefined) return
  const codes = encoder.encode(facts.centroid, rowCount, statistics.eachScaledChunk(rows, piece.positions))
  const { planes, refinedCodes } = codes
  const repeated = ids.kind === 'ids' ? ids.bytes : undefined
  extents.codes.write(encodeCodes({ segment: zone, rowCount, ids: repeated, pageCrcs, planes, refinedCodes }))
}
