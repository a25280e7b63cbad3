// Joins written shards into an index: gives their files their numbers and their place, and writes the catalogue.

import { closeSync, existsSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { wrapWriteError, ZgqError } from '../errors.ts'
import type { CatalogueZone, FileRecord } from '../format/catalogue.ts'
import { decodeHeader, encodeHeader, HEADER, hex } from '../format/header.ts'
import { CATALOGUE_NAME, dataFileName, PAGE_BYTES, type FileKind } from '../format/layout.ts'
import type { Quantizer } from '../quantizer/zone-encoder.ts'
import { writeCatalogue } from '../catalogue/writer.ts'
import { removeTemporary } from '../storage/file-writer.ts'
import { readFully } from '../storage/pread-reader.ts'
import type { Metric } from '../types.ts'
import { indexIdOf } from './join-parts.ts'
import { shardPath, type Site, type StoredIndex, type StoredTraining } from './site.ts'
import { decodeFloats, readStored } from './stored-json.ts'
import { GENERATION, SHARD_FACTS, type StoredShard } from './write-shard.ts'

/** Ends the names of what SQLite may leave beside a database. */
const BESIDE_DATABASE = ['-journal', '-wal', '-shm']
const NO_CODES = { codesFile: 0, codesOffset: 0, codesByteLength: 0, codesCrc: 0 }

/** The earlier stages' results, and what made the codes. */
export interface JoinParts {
  readonly training: StoredTraining
  readonly inputDigest: string
  readonly quantizer: Quantizer | undefined
}

/** Writes the catalogue over all shards; throws ZGQ_NOT_FOUND where shards are missing. Repeatable. */
export function joinShards(site: Site, parts: JoinParts): StoredIndex {
  const { recipe } = site
  const { training, inputDigest, quantizer } = parts
  const shards = readShards(site, training)
  const indexId = indexIdOf(recipe, inputDigest)
  const vectors = placeFiles(site, shards, 'vectors')
  const codes = placeFiles(site, shards, 'codes')
  const files = [...vectors.files, ...codes.files.map((file) => ({ ...file, file: file.file + vectors.files.length }))]
  const zones = shards.flatMap((shard, i): CatalogueZone[] => {
    const centroids = decodeFloats(shard.centroids)
    return shard.zones.map((zone, j) => {
      const place = shard.codes.at(j)
      const codesPlace =
        place === undefined
          ? NO_CODES
          : { ...place, codesFile: place.codesFile + codes.firsts[i] + vectors.files.length }
      return {
        ...zone,
        ...codesPlace,
        file: zone.file + vectors.firsts[i],
        centroid: centroids.subarray(j * recipe.dim, (j + 1) * recipe.dim)
      }
    })
  })
  const path = join(site.path, CATALOGUE_NAME)
  for (const ending of ['', ...BESIDE_DATABASE]) removeTemporary(path + ending) // of a build that died at this point
  writeCatalogue(path, {
    meta: {
      indexId,
      generation: GENERATION,
      dim: recipe.dim,
      metric: recipe.metric,
      bits: recipe.bits,
      count: recipe.count
    },
    quantizer: quantizer === undefined ? undefined : { signs: quantizer.signs, mean: quantizer.mean },
    build: {
      seed: recipe.seed,
      zones: recipe.zonesAsked,
      inputDigest: Uint8Array.from(Buffer.from(inputDigest, 'hex')),
      sampleCount: training.sampleCount
    },
    files,
    zones
  })
  return {
    files: [...files.map((file) => file.name), CATALOGUE_NAME],
    zones: zones.length,
    shards: shards.length,
    indexId: hex(indexId)
  }
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
  return Array.from({ length: count }, (_, shard) => readStored<StoredShard>(join(shardPath(site, shard), SHARD_FACTS)))
}

/**
 * Numbers the files of one kind through all shards and moves them into the working folder; firsts: the number of each
 * shard's first file.
 */
function placeFiles(
  site: Site,
  shards: readonly StoredShard[],
  kind: FileKind
): { files: FileRecord[]; firsts: number[] } {
  const files: FileRecord[] = []
  const firsts: number[] = []
  for (const [i, shard] of shards.entries()) {
    firsts.push(files.length)
    for (const record of kind === 'vectors' ? shard.vectorsFiles : shard.codesFiles) {
      const number = files.length
      const name = dataFileName(kind, GENERATION, number)
      const from = join(shardPath(site, i), record.name)
      const to = join(site.path, name)
      try {
        if (existsSync(from)) renameSync(from, to) // else it was moved before the build died
        files.push({
          ...record,
          file: number,
          name,
          headerCrc: renumber(to, { kind, number, metric: site.recipe.metric })
        })
      } catch (error) {
        throw wrapWriteError(error, to, 'put a file of the index into its place')
      }
    }
  }
  return { files, firsts }
}

/** Writes the number of the shard into a file's header; returns the header's CRC. */
function renumber(path: string, to: { kind: FileKind; number: number; metric: Metric }): number {
  const descriptor = openSync(path, 'r+')
  try {
    const page = new Uint8Array(PAGE_BYTES)
    readFully({ descriptor, path }, 0, page)
    const { indexId, generation, shard, dim, fileByteLength, zoneCount, rowCount, crc } = decodeHeader(
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
      zoneCount,
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
