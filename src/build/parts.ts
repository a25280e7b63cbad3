// Parts: ranges of the input's rows whose zones are known, each in a folder. A part holds a file for every shard to
// come, so that these can be removed one by one as shards are written: counts of rows by zone (u32), then the rows in
// order of zone (float32), then their ids (float64).

import { closeSync, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'

import { wrapReadError } from '../errors.ts'
import { alignUp } from '../format/layout.ts'
import { DescriptorPool } from '../storage/descriptor-pool.ts'
import { FileWriter } from '../storage/file-writer.ts'
import { readFully } from '../storage/pread-reader.ts'
import { KEY_OVERHEAD_BYTES } from './resources.ts'
import { partFileName } from './artifact-names.ts'
import { partPath } from './artifacts.ts'
import type { ArtifactFolder } from './artifact-folder.ts'
import { partCount, type Site } from './site.ts'
import type { RowSource } from '../input/row-source.ts'

/** Facts of a part, in its folder. */
export interface StoredPart {
  /** Rows of each trained zone: u32, zones. */
  readonly zoneRows: string
  /** SHA-256 of each block of vectors and of ids, one after the other. */
  readonly vectorDigests: string
  readonly idDigests: string
}

/** Rows of a part in order of zone. */
export interface SortedRows {
  /** float32, count * dim, in the order of the input. */
  readonly rows: Float32Array
  readonly ids: Float64Array
  /** Positions of rows, zone after zone. */
  readonly order: Uint32Array
  /** First position of each zone in `order`, and the end. */
  readonly starts: Uint32Array
}

/** Writes the file of shard `shard`, whose zones are `firstZone` up to `endZone`, into the folder of a part. */
export function writePartOfShard(
  to: ArtifactFolder,
  shard: { number: number; firstZone: number; endZone: number },
  sorted: SortedRows
): void {
  const { rows, ids, order, starts } = sorted
  const dim = rows.length / ids.length
  const writer = new FileWriter(shardFile(to.folder, shard.number))
  try {
    const counts = new Uint32Array(alignUp(shard.endZone - shard.firstZone, 2))
    for (let zone = shard.firstZone; zone < shard.endZone; zone++)
      counts[zone - shard.firstZone] = starts[zone + 1] - starts[zone]
    writer.write(new Uint8Array(counts.buffer))
    const members = order.subarray(starts[shard.firstZone], starts[shard.endZone])
    for (const row of members) writer.write(new Uint8Array(rows.buffer, rows.byteOffset + row * dim * 4, dim * 4))
    const memberIds = Float64Array.from(members, (row) => ids[row])
    writer.write(new Uint8Array(memberIds.buffer))
    if (to.isDurable) writer.sync()
    else writer.flush()
  } finally {
    writer.close()
  }
}

function shardFile(folder: string, shard: number): string {
  return join(folder, partFileName(shard))
}

/** Rows of one zone, and where they are in what was read. */
export interface ZoneRun {
  readonly zone: number
  /** Positions in `rows`, by ascending id. */
  readonly positions: Uint32Array
  readonly ids: Float64Array
}

/** Neighbouring zones of a shard, read together. */
export interface Run {
  readonly rows: RowSource
  /** Zones with rows, ascending. */
  readonly zones: readonly ZoneRun[]
}

interface PartFile {
  readonly path: string
  /** Rows before each zone of the shard in this file, and the end. */
  readonly starts: Uint32Array
  readonly rowsOffset: number
}

/** Reads the rows of a shard from all parts, some zones at a time. */
export class ShardRows {
  readonly #shard: { readonly firstZone: number; readonly endZone: number }
  readonly #dim: number
  readonly #files: PartFile[]
  /** Room for the rows of the run that is open, if they fit. */
  readonly #values: Float32Array

  /** room: for the rows of a run; each shard uses it again. */
  constructor(site: Site, shard: { number: number; firstZone: number; endZone: number }, room: Float32Array) {
    this.#values = room
    this.#shard = shard
    this.#dim = site.recipe.dim
    const zoneCount = shard.endZone - shard.firstZone
    this.#files = Array.from({ length: partCount(site.recipe) }, (_, part) => {
      const path = shardFile(partPath(site, part), shard.number)
      const counts = new Uint32Array(alignUp(zoneCount, 2))
      readRange(path, 0, new Uint8Array(counts.buffer))
      const starts = new Uint32Array(zoneCount + 1)
      for (let i = 0; i < zoneCount; i++) starts[i + 1] = starts[i] + counts[i]
      return { path, starts, rowsOffset: counts.byteLength }
    })
  }

  /**
   * Yields runs of zones whose rows fit into the room there is; a zone that is larger comes alone, and its rows are
   * read as they are asked for. Each run ends the one before.
   */
  *runs(): Generator<Run> {
    const zoneCount = this.#shard.endZone - this.#shard.firstZone
    const most = Math.floor(this.#values.byteLength / (this.#dim * 4 + KEY_OVERHEAD_BYTES))
    for (let first = 0; first < zoneCount;) {
      let end = first + 1
      while (end < zoneCount && this.#count(first, end + 1) <= most) end++
      const count = this.#count(first, end)
      if (count > 0) yield* this.#open({ first, end, count, isHeld: count <= most })
      first = end
    }
  }

  #count(first: number, end: number): number {
    return this.#files.reduce((sum, { starts }) => sum + starts[end] - starts[first], 0)
  }

  *#open(run: { first: number; end: number; count: number; isHeld: boolean }): Generator<Run> {
    const inFiles = new RowsInFiles(this.#files, { dim: this.#dim, first: run.first, end: run.end })
    try {
      yield { rows: run.isHeld ? this.#hold(inFiles, run.count) : inFiles, zones: this.#groupByZone(inFiles, run) }
    } finally {
      inFiles.close()
    }
  }

  #hold(inFiles: RowsInFiles, count: number): RowSource {
    const dim = this.#dim
    const values = this.#values
    inFiles.readAll(values.subarray(0, count * dim))
    return {
      dim,
      count,
      label: 'run',
      readRows(firstRow, target) {
        target.set(values.subarray(firstRow * dim, firstRow * dim + target.length))
      },
      close: () => undefined
    }
  }

  /** In what was read, rows stand part after part, and in each of them zone after zone. */
  #groupByZone(inFiles: RowsInFiles, run: { first: number; end: number }): ZoneRun[] {
    const ids = inFiles.readIds()
    const zones: ZoneRun[] = []
    for (let zone = run.first; zone < run.end; zone++) {
      const positions = new Uint32Array(this.#count(zone, zone + 1))
      if (positions.length === 0) continue
      let filled = 0
      for (const [i, { starts }] of this.#files.entries()) {
        const start = inFiles.starts[i] + starts[zone] - starts[run.first]
        for (let row = 0; row < starts[zone + 1] - starts[zone]; row++) positions[filled++] = start + row
      }
      positions.sort((a, b) => ids[a] - ids[b])
      zones.push({
        zone: this.#shard.firstZone + zone,
        positions,
        ids: Float64Array.from(positions, (position) => ids[position])
      })
    }
    return zones
  }
}

/** Files that stay open while single rows are read from them. */
const MOST_DESCRIPTORS = 32

/** The rows of some zones, where they lie in the files of all parts: one after the other. */
class RowsInFiles implements RowSource {
  readonly dim: number
  readonly count: number
  readonly label = 'run'
  /** Rows before each file, and the end. */
  readonly starts: Float64Array
  readonly #files: readonly PartFile[]
  readonly #first: number
  readonly #end: number
  readonly #descriptors: DescriptorPool

  constructor(files: readonly PartFile[], of: { dim: number; first: number; end: number }) {
    this.dim = of.dim
    this.#files = files
    this.#descriptors = new DescriptorPool({
      most: MOST_DESCRIPTORS,
      open: (file) => openPart(files[file].path)
    })
    this.#first = of.first
    this.#end = of.end
    this.starts = new Float64Array(files.length + 1)
    for (const [i, { starts }] of files.entries())
      this.starts[i + 1] = this.starts[i] + starts[of.end] - starts[of.first]
    this.count = this.starts[files.length]
  }

  readRows(firstRow: number, target: Float32Array): void {
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
    const rowBytes = this.dim * 4
    for (let done = 0; done < target.length / this.dim;) {
      const row = firstRow + done
      const file = this.#fileOf(row)
      const some = Math.min(target.length / this.dim - done, this.starts[file + 1] - row)
      readFully(
        { descriptor: this.#descriptors.get(file), path: this.#files[file].path },
        this.#rowOffset(file, row),
        bytes.subarray(done * rowBytes, (done + some) * rowBytes)
      )
      done += some
    }
  }

  /** Reads all rows, opening each file once. */
  readAll(target: Float32Array): void {
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
    const rowBytes = this.dim * 4
    for (const [i, { path }] of this.#files.entries()) {
      if (this.starts[i] < this.starts[i + 1])
        readRange(
          path,
          this.#rowOffset(i, this.starts[i]),
          bytes.subarray(this.starts[i] * rowBytes, this.starts[i + 1] * rowBytes)
        )
    }
  }

  readIds(): Float64Array {
    const ids = new Float64Array(this.count)
    for (const [i, { path, starts, rowsOffset }] of this.#files.entries()) {
      const offset = rowsOffset + starts[starts.length - 1] * this.dim * 4 + starts[this.#first] * 8
      if (this.starts[i] < this.starts[i + 1])
        readRange(
          path,
          offset,
          new Uint8Array(ids.buffer, this.starts[i] * 8, (this.starts[i + 1] - this.starts[i]) * 8)
        )
    }
    return ids
  }

  close(): void {
    this.#descriptors.close()
  }

  #rowOffset(file: number, row: number): number {
    const { rowsOffset, starts } = this.#files[file]
    return rowsOffset + (starts[this.#first] + row - this.starts[file]) * this.dim * 4
  }

  /** The last file that starts at or before a row, and has rows. */
  #fileOf(row: number): number {
    let low = 0
    let high = this.#files.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.starts[middle] <= row) low = middle
      else high = middle - 1
    }
    return low
  }
}

function readRange(path: string, offset: number, target: Uint8Array): void {
  const descriptor = openPart(path)
  try {
    readFully({ descriptor, path }, offset, target)
  } finally {
    closeSync(descriptor)
  }
}

function openPart(path: string): number {
  try {
    const descriptor = openSync(path, 'r')
    fstatSync(descriptor)
    return descriptor
  } catch (error) {
    throw wrapReadError(error, path, 'open a part of the input')
  }
}
