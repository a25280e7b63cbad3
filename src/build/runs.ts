// Runs: the rows of a range of zones, together in a file, so that zones can be written one after the other from a part of the data at a time.
// A run has two files: float32 rows, and keys of two float64 a row (zone, id), in the order of the input.

import { FileWriter, removeTemporary } from '../storage/file-writer.ts'
import { openRawRows } from './sources/spool.ts'
import type { RowSource } from './sources/row-source.ts'

const KEY_BYTES = 16
/** What sorting a row's key takes besides the row. */
export const KEY_OVERHEAD_BYTES = 48
const MAX_RUNS = 256
const MIN_BUFFER_BYTES = 16 * 1024

/** How rows are dealt out to runs. */
export interface RunPlan {
  readonly dim: number
  /** Run of each zone, ascending. */
  readonly runOfZone: Uint16Array
  readonly runs: number
  /** Memory for the buffers of all runs together. */
  readonly bufferBytes: number
  readonly file: (name: string) => string
}

/** Counts the runs that a build needs so that one of them fits into `memoryBytes`. */
export function runCount(of: { count: number; dim: number; zones: number; memoryBytes: number }): number {
  return Math.min(of.zones, MAX_RUNS, Math.ceil((of.count * (of.dim * 4 + KEY_OVERHEAD_BYTES)) / of.memoryBytes))
}

/** Splits zones into runs of about equal size, so that a run of `count` rows fits into `memoryBytes`; `sizes` are the zones' shares of the sample. */
export function planRuns(sizes: Float64Array, like: { count: number; dim: number; memoryBytes: number }): { runOfZone: Uint16Array; runs: number } {
  const runs = runCount({ ...like, zones: sizes.length })
  const total = sizes.reduce((sum, size) => sum + size + 1, 0)
  const runOfZone = new Uint16Array(sizes.length)
  let before = 0
  sizes.forEach((size, zone) => {
    runOfZone[zone] = Math.min(runs - 1, Math.floor((before / total) * runs))
    before += size + 1
  })
  return { runOfZone, runs }
}

/** Deals rows out to the files of their runs. */
export class RunWriter {
  readonly #plan: RunPlan
  readonly #rows: FileWriter[] = []
  readonly #keys: FileWriter[] = []
  readonly #counts: number[] = []

  constructor(plan: RunPlan) {
    this.#plan = plan
    const bufferBytes = Math.max(MIN_BUFFER_BYTES, Math.floor(plan.bufferBytes / plan.runs / 2))
    try {
      for (let run = 0; run < plan.runs; run++) {
        this.#rows.push(new FileWriter(rowsPath(plan, run), bufferBytes))
        this.#keys.push(new FileWriter(keysPath(plan, run), bufferBytes))
        this.#counts.push(0)
      }
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Takes rows (float32, count * dim) with the zone and the id of each. */
  write(rows: Float32Array, zones: Uint32Array, ids: Float64Array): void {
    const { dim, runOfZone } = this.#plan
    const key = new Float64Array(2)
    const keyBytes = new Uint8Array(key.buffer)
    for (let i = 0; i < zones.length; i++) {
      const run = runOfZone[zones[i]]
      key[0] = zones[i]
      key[1] = ids[i]
      this.#rows[run].write(new Uint8Array(rows.buffer, rows.byteOffset + i * dim * 4, dim * 4))
      this.#keys[run].write(keyBytes)
      this.#counts[run]++
    }
  }

  /** Flushes and closes the files; returns how many rows each run has. */
  finish(): number[] {
    for (const writer of [...this.#rows, ...this.#keys]) writer.flush()
    this.close()
    return this.#counts
  }

  /** Closes the files; idempotent. */
  close(): void {
    for (const writer of [...this.#rows, ...this.#keys]) writer.close()
  }
}

/** A run that is read back: its rows grouped by zone, in order of id within a zone. */
export interface Run {
  readonly rows: RowSource
  /** Zones with rows, ascending. */
  readonly zones: readonly RunZone[]
}

export interface RunZone {
  readonly zone: number
  /** Positions in the run. */
  readonly positions: Uint32Array
  /** Ids in the same order, ascending. */
  readonly ids: Float64Array
}

/** Reads runs back, one at a time, into buffers that all of them share: buffers of their own would pile up before they are collected. */
export class RunReader {
  readonly #plan: RunPlan
  readonly #counts: readonly number[]
  readonly #keys: Float64Array
  /** Rows of a run, if they fit into the memory given. */
  readonly #values: Float32Array

  constructor(plan: RunPlan, counts: readonly number[], memoryBytes: number) {
    const most = Math.floor(memoryBytes / (plan.dim * 4))
    const largest = counts.reduce((size, count) => Math.max(size, count), 0)
    const largestHeld = counts.reduce((size, count) => (count <= most ? Math.max(size, count) : size), 0)
    this.#plan = plan
    this.#counts = counts
    this.#keys = new Float64Array(largest * 2)
    this.#values = new Float32Array(largestHeld * plan.dim)
  }

  /** Removes the files of a run that was written: the disk then holds the data little more than once. */
  discard(run: number): void {
    removeTemporary(rowsPath(this.#plan, run))
    removeTemporary(keysPath(this.#plan, run))
  }

  /** Opens run `run`; close its rows before the next is opened. */
  open(run: number): Run {
    const count = this.#counts[run]
    const keys = this.#keys.subarray(0, count * 2)
    if (count > 0) readKeys(keysPath(this.#plan, run), keys)
    const inFile = openRawRows(rowsPath(this.#plan, run), { dim: this.#plan.dim, count, label: 'run' })
    try {
      const rows = count * this.#plan.dim <= this.#values.length ? this.#hold(inFile) : inFile
      return { rows, zones: groupByZone(keys, count) }
    } catch (error) {
      inFile.close()
      throw error
    }
  }

  /** Reads all rows into memory; a run that the sample underestimated stays in its file. */
  #hold(inFile: RowSource): RowSource {
    const { dim, count } = inFile
    const values = this.#values.subarray(0, count * dim)
    if (count > 0) inFile.readRows(0, values)
    return {
      ...inFile,
      readRows(firstRow, target) {
        target.set(values.subarray(firstRow * dim, firstRow * dim + target.length))
      }
    }
  }
}

function readKeys(path: string, keys: Float64Array): void {
  const source = openRawRows(path, { dim: KEY_BYTES / 4, count: keys.length / 2, label: 'keys' })
  try {
    source.readRows(0, new Float32Array(keys.buffer, keys.byteOffset, keys.length * 2))
  } finally {
    source.close()
  }
}

function groupByZone(keys: Float64Array, count: number): RunZone[] {
  const byZone = new Map<number, number>()
  for (let i = 0; i < count; i++) byZone.set(keys[i * 2], (byZone.get(keys[i * 2]) ?? 0) + 1)
  const groups = new Map<number, { positions: Uint32Array; size: number }>()
  for (const [zone, size] of byZone) groups.set(zone, { positions: new Uint32Array(size), size: 0 })
  for (let i = 0; i < count; i++) {
    const group = groups.get(keys[i * 2])
    if (group !== undefined) group.positions[group.size++] = i
  }
  return Array.from(groups.keys())
    .sort((a, b) => a - b)
    .map((zone) => {
      const positions = groups.get(zone)?.positions ?? new Uint32Array(0)
      positions.sort((a, b) => keys[a * 2 + 1] - keys[b * 2 + 1])
      return { zone, positions, ids: Float64Array.from(positions, (position) => keys[position * 2 + 1]) }
    })
}

function rowsPath(plan: RunPlan, run: number): string {
  return plan.file(`run-${run}.rows`)
}

function keysPath(plan: RunPlan, run: number): string {
  return plan.file(`run-${run}.keys`)
}
