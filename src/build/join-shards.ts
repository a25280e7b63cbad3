// Joins written shards into an index: gives their files their numbers and their place, and writes the catalogue.

import { closeSync, existsSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { wrapWriteError, ZgqError } from '../errors.ts'
import { fileNameOf, type FileRecord } from '../format/file-record.ts'
import { decodeHeader, encodeHeader, HEADER, hex } from '../format/header.ts'
import type { FileKind } from '../format/kinds.ts'
import { CATALOGUE_NAME, PAGE_BYTES } from '../format/layout.ts'
import { NO_EXTENT, type FileExtent, type SegmentRecord } from '../format/segment-record.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { encodeCentroids } from '../quantizer/encode-centroids.ts'
import type { Quantizer } from '../quantizer/zone-encoder.ts'
import { writeCatalogue } from '../catalogue/writer.ts'
import { removeTemporary } from '../storage/file-writer.ts'
import { readFully } from '../storage/pread-reader.ts'
import type { Metric } from '../types.ts'
import { ID_RUNS_NAME } from './id-run.ts'
import { joinIdRuns } from './join-id-runs.ts'
import { indexIdOf } from './join-parts.ts'
import { FACTS_NAME } from './artifact-names.ts'
import { shardPath } from './artifacts.ts'
import type { Site, StoredIndex, StoredTraining } from './site.ts'
import { decodeFloats, readStored } from './stored-json.ts'
import { GENERATION, SEGMENT_FILE_KINDS, type SegmentFileKind, type StoredShard } from './write-shard.ts'

/** Ends the names of what SQLite may leave beside a database. */
const BESIDE_DATABASE = ['-journal', '-wal', '-shm']

/** The earlier stages' results, and what made the codes. */
export interface JoinParts {
  readonly training: StoredTraining
  readonly inputDigest: string
  readonly quantizer: Quantizer | undefined
  /** Waited for while ids are joined, which is long work on many rows; where it throws, the work ends. */
  readonly onIds: () => Promise<void>
}

/** Writes the catalogue over all shards; rejects with ZGQ_NOT_FOUND where shards are missing. Repeatable. */
export async function joinShards(site: Site, parts: JoinParts): Promise<StoredIndex> {
  const { recipe } = site
  const { training, inputDigest, quantizer, onIds } = parts
  const shards = readShards(site, training)
  const indexId = indexIdOf(recipe, inputDigest)
  const files: FileRecord[] = []
  const placed = SEGMENT_FILE_KINDS.map((kind) => placeFiles(site, { shards, kind, files }))
  const [vectors, codes, fields, payload] = placed
  const ids = await joinIds(site, shards, { indexId, onIds })
  if (ids !== undefined) files.push({ ...ids, file: files.length })
  const segments = shards.flatMap((shard, i) =>
    shard.segments.map((segment, j): SegmentRecord => {
      const { extents } = shard
      return {
        ...segment,
        rows: renumbered(segment.rows, vectors[i]),
        columns: renumbered(segment.columns, vectors[i]),
        codes: renumbered(extents.codes.at(j), codes[i]),
        fields: renumbered(extents.fields.at(j), fields[i]),
        payload: renumbered(extents.payload.at(j), payload[i])
      }
    })
  )
  const centroids = joinFloats(shards.map((shard) => decodeFloats(shard.centroids)))
  const path = join(site.path, CATALOGUE_NAME)
  for (const ending of ['', ...BESIDE_DATABASE]) removeTemporary(path + ending) // of a build that died at this point
  writeCatalogue(path, {
    meta: {
      indexId,
      generation: GENERATION,
      dim: recipe.dim,
      metric: recipe.metric,
      bits: recipe.bits,
      idType: recipe.documents?.idType ?? 'integer',
      count: recipe.count
    },
    quantizer: quantizer,
    build: {
      seed: recipe.seed,
      zones: recipe.zonesAsked,
      inputDigest: Uint8Array.from(Buffer.from(inputDigest, 'hex')),
      sampleCount: training.sampleCount
    },
    files,
    segments,
    centroids,
    documents: {
      fields: recipe.documents?.fields ?? [],
      model: recipe.model ?? undefined,
      encodedNote: recipe.note === null ? undefined : Uint8Array.from(Buffer.from(recipe.note, 'base64'))
    },
    zoneCodes: quantizer === undefined ? new Uint8Array(0) : encodeZones(centroids, { ...recipe, quantizer })
  })
  return {
    files: [...files.map(fileNameOf), CATALOGUE_NAME],
    zones: segments.length,
    shards: shards.length,
    indexId: hex(indexId)
  }
}

function joinIds(
  site: Site,
  shards: readonly StoredShard[],
  { indexId, onIds }: { readonly indexId: Uint8Array; readonly onIds: () => Promise<void> }
): Promise<FileRecord | undefined> {
  const { dim, metric } = site.recipe
  return joinIdRuns(
    shards.map(({ idRuns }, i) => ({ ...idRuns, path: join(shardPath(site, i), ID_RUNS_NAME) })),
    { folder: site.path, indexId, generation: GENERATION, dim, metric },
    onIds
  )
}

function renumbered(extent: FileExtent | undefined, firstFile: number): FileExtent {
  return extent === undefined ? NO_EXTENT : { ...extent, file: extent.file + firstFile }
}

function joinFloats(parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

function encodeZones(centroids: Float32Array, of: { dim: number; metric: Metric; quantizer: Quantizer }): Uint8Array {
  return encodeCentroids(new KernelMemory(loadKernel()), centroids, of)
}

function readShards(site: Site, training: StoredTraining): StoredShard[] {
  const count = training.shardStarts.length - 1
  const missing = Array.from({ length: count }, (_, shard) => shard).filter(
    (shard) => !existsSync(shardPath(site, shard))
  )
  if (missing.length > 0) {
    throw new ZgqError(
      'ZGQ_NOT_FOUND',
      `${missing.length} of the ${count} shards are not written yet: finish the stage write in all processes ` +
        'first',
      { path: site.path }
    )
  }
  return Array.from({ length: count }, (_, shard) => readStored<StoredShard>(join(shardPath(site, shard), FACTS_NAME)))
}

/**
 * Numbers the files of one kind through all shards, behind the `files` that there are, adds them and moves them into
 * the working folder; returns the number of each shard's first file.
 */
function placeFiles(
  site: Site,
  of: { readonly shards: readonly StoredShard[]; readonly kind: SegmentFileKind; readonly files: FileRecord[] }
): number[] {
  const { shards, kind, files } = of
  const firsts: number[] = []
  let number = 0
  for (const [i, shard] of shards.entries()) {
    firsts.push(files.length)
    for (const record of shard.files[kind]) {
      const numbered = { ...record, file: files.length, shard: number }
      const from = join(shardPath(site, i), fileNameOf(record))
      const to = join(site.path, fileNameOf(numbered))
      try {
        if (existsSync(from)) renameSync(from, to) // else it was moved before the build died
        files.push({ ...numbered, headerCrc: renumber(to, { kind, number, metric: site.recipe.metric }) })
        number++
      } catch (error) {
        throw wrapWriteError(error, to, 'put a file of the index into its place')
      }
    }
  }
  return firsts
}

/** Writes the number of the shard into a file's header; returns the header's CRC. */
function renumber(path: string, to: { kind: FileKind; number: number; metric: Metric }): number {
  const descriptor = openSync(path, 'r+')
  try {
    const page = new Uint8Array(PAGE_BYTES)
    readFully({ descriptor, path }, 0, page)
    const { indexId, generation, shard, dim, fileByteLength, segmentCount, rowCount, crc } = decodeHeader(
      page,
      to.kind,
      path
    )
    if (shard === to.number) return crc
    const bytes = encodeHeader({
      indexId,
      generation,
      dim,
      fileByteLength,
      segmentCount,
      rowCount,
      kind: to.kind,
      metric: to.metric,
      shard: to.number
    })
    writeSync(descriptor, bytes, 0, bytes.byteLength, 0)
    fsyncSync(descriptor)
    return HEADER.decode(bytes, 0, path).crc
  } finally {
    closeSync(descriptor)
  }
}
