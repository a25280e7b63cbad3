// A build on one page: read -> sample -> train -> assign -> write -> calibrate -> publish. Each stage leaves its results in files of the working
// folder and keeps little in memory, so that memory follows `memoryBytes` and not the data.

import { createHash } from 'node:crypto'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

import { wrapWriteError } from '../errors.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { hex } from '../format/header.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { loadSqlite } from '../storage/native-modules.ts'
import { openContext } from '../search/open-context.ts'
import { readCatalogue } from '../storage/catalogue-reader.ts'
import { writeCalibration, writeCatalogue } from '../storage/catalogue-writer.ts'
import { calibrate } from './calibrate.ts'
import { readQueries, sampleQueries } from './calibration-queries.ts'
import { CodesWriter } from '../storage/codes-writer.ts'
import { VectorsWriter } from '../storage/vectors-writer.ts'
import type { Metric } from '../types.ts'
import { assignRows } from './assign.ts'
import { Assigner } from './assigner.ts'
import { checkBuildOptions, type BuildOptions, type BuildPlan, type BuildStage } from './build-options.ts'
import { checkUniqueIds } from './check-ids.ts'
import { defaultZones } from './default-zones.ts'
import { checkFreeSpace, checkMemory, memoryShares } from './resources.ts'
import { openInput, type BuildInput } from './input.ts'
import { seededRandom } from './random.ts'
import { planRuns, RunWriter, type RunPlan } from './runs.ts'
import { takeSample } from './sample.ts'
import { train } from './train.ts'
import { WorkingFolder } from './working-folder.ts'
import { writeZones } from './write-zones.ts'
import { drawSigns } from '../quantizer/rotation.ts'

/** Rows of the input pass through the kernel in calls of about so many bytes; a constant, since results must not depend on memory. */
const CALL_BYTES = 1024 * 1024
const GENERATION = 1
/** Keeps the rotation's random numbers apart from those of sampling and training. */
const ROTATION_SEED = 0x5eed
const CALIBRATION_SEED = 0xca11
/** Share of the build's memory that calibration may fill with codes. Plain reads, not a mapping: pages of files must not count as memory of the build. */
const CALIBRATION_SHARE = 0.5
const NO_CODES = { codesFile: 0, codesOffset: 0, codesByteLength: 0, codesCrc: 0 }

/** What was built. */
export interface BuildReport {
  readonly path: string
  readonly count: number
  readonly dim: number
  readonly metric: Metric
  readonly zones: number
  readonly bits: number
  /** Length of all files of the index. */
  readonly bytes: number
  /** 32 hex digits. */
  readonly indexId: string
}

/**
 * Builds an index from vectors and publishes it by one rename; nothing is visible at `output` before.
 * Rejects with ZGQ_EXISTS, ZGQ_NOT_AN_INDEX, ZGQ_LOCKED, ZGQ_NOT_FOUND, ZGQ_READ_ONLY or ZGQ_IO for the output; ZGQ_UNSUPPORTED for either inside app.asar; ZGQ_BUILD_INPUT, ZGQ_TRUNCATED, ZGQ_DIMENSION,
 * ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR or ZGQ_ID_EXISTS for the input; TypeError or RangeError for bad options; the signal's reason when aborted.
 */
export async function buildIndex(options: BuildOptions): Promise<BuildReport> {
  const plan = checkBuildOptions(options)
  plan.signal?.throwIfAborted()
  loadSqlite() // now, not after the work is done
  const folder = WorkingFolder.take(plan.output, plan.force)
  try {
    const input = await openInput(plan, (name) => folder.file(name))
    try {
      return await build({ plan, folder, input, tell: progressTeller(plan) })
    } finally {
      input.close()
    }
  } catch (error) {
    discardQuietly(folder)
    throw error
  }
}

/** What cannot be removed now, the next build clears away; the error that ended this one says more. */
function discardQuietly(folder: WorkingFolder): void {
  try {
    folder.discard()
  } catch {
    return
  }
}

interface BuildContext {
  readonly plan: BuildPlan
  readonly folder: WorkingFolder
  readonly input: BuildInput
  /** Reports progress, lets the event loop turn, and throws if the build was aborted. */
  readonly tell: (stage: BuildStage, done: number, total: number) => Promise<void>
}

async function build(context: BuildContext): Promise<BuildReport> {
  const { plan, folder, input, tell } = context
  const { count, dim } = input.rows
  const zones = Math.min(count, plan.zones ?? defaultZones(count, dim))
  checkMemory({ count, dim, zones, memoryBytes: plan.memoryBytes })
  checkFreeSpace(folder.path, { count, dim, zones, memoryBytes: plan.memoryBytes })
  const shares = memoryShares(plan.memoryBytes)
  checkUniqueIds(input.ids, Math.floor(shares.run / 16))

  const memory = new KernelMemory(loadKernel())
  const rowsPerCall = Math.max(1, Math.floor(CALL_BYTES / (dim * 4)))
  const assigner = new Assigner(memory, { dim, metric: plan.metric, rowsPerCall, zones })
  const sizes = await trainCentroids(context, assigner, zones)

  const runPlan: RunPlan = { dim, ...planRuns(sizes, { count, dim, memoryBytes: shares.run }), bufferBytes: shares.buffers, file: (name) => folder.file(name) }
  const { inputDigest, runCounts } = await assignAll(context, assigner, runPlan)
  const { bits } = plan
  const indexId = identify(inputDigest, plan, bits)
  const facts = { folder: folder.path, indexId, generation: GENERATION, dim, metric: plan.metric }
  const quantizer = bits === 0 ? undefined : { dim, metric: plan.metric, bits, signs: drawSigns(dim, seededRandom(plan.seed + ROTATION_SEED)), mean: assigner.origin }
  const writer = new VectorsWriter(facts)
  const codesWriter = new CodesWriter(facts)
  let codes: ReturnType<CodesWriter['finish']>
  try {
    await writeZones(memory, {
      runs: runPlan, runCounts, metric: plan.metric, meanRows: count / zones, memoryBytes: shares.run, writer,
      codes: quantizer === undefined ? undefined : { quantizer, writer: codesWriter },
      onRows: (rows) => tell('write', rows, count)
    })
    writer.finish()
    codes = codesWriter.finish(writer.files.length)
  } finally {
    writer.close()
    codesWriter.close()
  }
  const files = [...writer.files, ...codes.files]
  writeCatalogue(folder.file(CATALOGUE_NAME), {
    meta: { indexId, generation: GENERATION, dim, metric: plan.metric, bits, count },
    quantizer: quantizer === undefined ? undefined : { signs: quantizer.signs, mean: quantizer.mean },
    build: { seed: plan.seed, zones: plan.zones ?? null, inputDigest, sampleCount: sizes.reduce((sum, size) => sum + size, 0) },
    files,
    zones: writer.zones.map((zone, i) => ({ ...zone, ...(codes.places.at(i) ?? NO_CODES) }))
  })
  await calibrateBuilt(context)
  await tell('publish', 0, 1)
  const bytes = removeTemporaries(folder, [...files.map((file) => file.name), CATALOGUE_NAME])
  folder.publish()
  plan.onProgress({ stage: 'publish', done: 1, total: 1 })
  return { path: plan.output, count, dim, metric: plan.metric, zones: writer.zones.length, bits, bytes, indexId: hex(indexId) }
}

/** Calibrates the finished index in its working folder. */
async function calibrateBuilt(context: BuildContext): Promise<void> {
  const { plan, folder, tell } = context
  const snapshot = readCatalogue(folder.path)
  const { readers, context: opened } = openContext(snapshot, { mapping: 'pread', cacheBytes: Math.floor(plan.memoryBytes * CALIBRATION_SHARE), verify: 'none' })
  try {
    const queries = plan.queries === undefined ? sampleQueries(opened, snapshot, seededRandom(plan.seed + CALIBRATION_SEED)) : readQueries(plan.queries, snapshot.meta)
    const calibration = await calibrate(opened, snapshot, {
      queries, source: plan.queries === undefined ? 'base' : 'queries', onQueries: (done, total) => tell('calibrate', done, total)
    })
    writeCalibration(folder.path, calibration)
  } finally {
    readers.close()
  }
}

/** Trains and leaves the centroids in the assigner; returns how many rows of the sample each has. */
async function trainCentroids(context: BuildContext, assigner: Assigner, zones: number): Promise<Float64Array> {
  const { plan, folder, input, tell } = context
  const random = seededRandom(plan.seed)
  const file = (name: string): string => folder.file(name)
  const samples = await takeSample(input.rows, assigner, { zones, metric: plan.metric, random, file, onRows: (done, total) => tell('sample', done, total) })
  try {
    const { centroids, sizes } = await train(assigner, {
      sample: samples.sample, earlySample: samples.earlySample, zones, random,
      onRound: (round, rounds) => tell('train', round, rounds)
    })
    assigner.setCentroids(centroids)
    return sizes
  } finally {
    samples.discard()
  }
}

async function assignAll(context: BuildContext, assigner: Assigner, runPlan: RunPlan): Promise<{ inputDigest: Uint8Array; runCounts: number[] }> {
  const { plan, input, tell } = context
  const runs = new RunWriter(runPlan)
  try {
    const inputDigest = await assignRows(input, assigner, { metric: plan.metric, runs, onRows: (rows) => tell('assign', rows, input.rows.count) })
    return { inputDigest, runCounts: runs.finish() }
  } finally {
    runs.close()
  }
}

/** Names the index by what it is made of (spec, section 7). */
function identify(inputDigest: Uint8Array, plan: BuildPlan, bits: number): Uint8Array {
  const options = JSON.stringify({ metric: plan.metric, zones: plan.zones ?? null, bits, seed: plan.seed })
  const hash = createHash('sha256').update('zgq index\0').update(inputDigest).update(options).digest()
  return Uint8Array.from(hash.subarray(0, 16))
}

/** Leaves only the files of the index and the lock; returns the bytes of the former. */
function removeTemporaries(folder: WorkingFolder, kept: readonly string[]): number {
  try {
    for (const name of readdirSync(folder.path)) {
      if (!kept.includes(name) && !folder.isLock(name)) rmSync(folder.file(name), { force: true })
    }
    return kept.reduce((sum, name) => sum + statSync(folder.file(name)).size, 0)
  } catch (error) {
    throw wrapWriteError(error, folder.path, 'remove temporary files')
  }
}

function progressTeller(plan: BuildPlan): BuildContext['tell'] {
  return async (stage, done, total) => {
    plan.onProgress({ stage, done, total })
    await setImmediate()
    plan.signal?.throwIfAborted()
  }
}

