// The things that the tasks of one thread share during a build: the site, the opened input, and kernel memory. Each is
// made when a task first asks for it, and kept for the next one.

import { drawFlips } from '../quantizer/rotation.ts'
import { ZoneStatistics } from '../quantizer/zone-statistics.ts'
import { ZoneEncoder, type Quantizer } from '../quantizer/zone-encoder.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { openContext, type OpenedContext } from '../search/open-context.ts'
import { readCatalogue } from '../catalogue/reader.ts'
import { Assigner } from './assigner.ts'
import type { OpenedIndex } from './calibration-steps.ts'
import { openDocuments, type Documents } from './documents.ts'
import { openStoredInput, type BroughtFiles, type BuildInput } from './input.ts'
import { seededRandom } from '../quantizer/random.ts'
import { sharedBytes } from './resources.ts'
import { readAssignment, readTraining } from './artifacts.ts'
import { RowSums } from './row-sums.ts'
import type { Recipe, Site, StoredTraining } from './site.ts'
import { decodeFloats, decodeWords } from './stored-json.ts'
import { readRound } from './rounds.ts'

/** Keeps the rotation's random numbers apart from those of sampling and training. */
const ROTATION_SEED = 0x5eed
/** Share of the memory for the rows of the run that a shard is written from, of all threads together. */
const RUN_SHARE = 0.25
/** Share of the memory that calibration may fill with codes, of all threads together. */
const CALIBRATION_SHARE = 0.4

interface Training extends StoredTraining {
  readonly originRow: Float32Array
}

export interface WritingTools {
  /** Room for the rows of a run. */
  readonly runRows: Float32Array
  readonly statistics: ZoneStatistics
  /** Undefined with `bits: 0`. */
  readonly encoder: ZoneEncoder | undefined
}

export class TaskContext {
  readonly site: Site
  readonly #threads: number
  readonly #sharedBytes: number
  #input: BuildInput | undefined
  #documents: Documents | undefined
  #assigner: Assigner | undefined
  /** The round of training that the assigner's centroids are from, or the end of it. */
  #centroidsOf = ''
  #rowSums: RowSums | undefined
  #training: Training | undefined
  #zoneRows: Uint32Array | undefined
  #inputDigest = ''
  #partRows: Float32Array | undefined
  #runRows: Float32Array | undefined
  #statistics: ZoneStatistics | undefined
  #encoder: ZoneEncoder | undefined
  #opened: (OpenedIndex & OpenedContext) | undefined

  /** threads: how many worker threads share the memory of the build; 0 where there are none. */
  constructor(site: Site, threads: number) {
    this.site = site
    this.#threads = Math.max(1, threads)
    this.#sharedBytes = sharedBytes(site.recipe, threads)
  }

  /** Has `work` read the input, which stays open for the next task; files that were brought are for this one alone. */
  async withInput<T>(brought: BroughtFiles | undefined, work: (input: BuildInput) => Promise<T>): Promise<T> {
    if (brought === undefined) return await work((this.#input ??= await openStoredInput(this.site)))
    const input = await openStoredInput(this.site, brought)
    try {
      return await work(input)
    } finally {
      input.close()
    }
  }

  /** Opens what rows have besides vectors; undefined: integer ids alone. */
  openDocuments(): Documents | undefined {
    this.#documents ??= openDocuments(this.site)
    return this.#documents
  }

  /** Opens the assigner without centroids, for sampling and training. */
  openAssigner(): Assigner {
    const { dim, metric, rowsPerBlock, zones } = this.site.recipe
    this.#assigner ??= new Assigner(new KernelMemory(loadKernel()), { dim, metric, rowsPerCall: rowsPerBlock, zones })
    return this.#assigner
  }

  /** Opens the assigner with the centroids of a round of training; they are read once a round. */
  openRoundAssigner(round: number): Assigner {
    const assigner = this.openAssigner()
    if (this.#centroidsOf !== `round ${round}`) {
      const { origin, centroids } = readRound(this.site, round)
      assigner.setCentre(origin)
      assigner.setCentroids(centroids)
      this.#centroidsOf = `round ${round}`
    }
    return assigner
  }

  /** Opens sums of rows, for training. */
  openRowSums(): RowSums {
    this.#rowSums ??= new RowSums(this.site)
    return this.#rowSums
  }

  /** Opens the assigner with the trained centroids; gives back what training needed. */
  openTrainedAssigner(): Assigner {
    this.#rowSums = undefined
    const assigner = this.openAssigner()
    if (this.#centroidsOf !== 'trained') {
      const { originRow, centroids } = this.readTraining()
      assigner.setCentre(originRow)
      assigner.setCentroids(decodeFloats(centroids))
      this.#centroidsOf = 'trained'
    }
    return assigner
  }

  readTraining(): Training {
    if (this.#training === undefined) {
      const stored = readTraining(this.site)
      this.#training = { ...stored, originRow: decodeFloats(stored.origin) }
    }
    return this.#training
  }

  readAssignment(): { zoneRows: Uint32Array; inputDigest: string } {
    if (this.#zoneRows === undefined) {
      const stored = readAssignment(this.site)
      this.#zoneRows = decodeWords(stored.zoneRows)
      this.#inputDigest = stored.inputDigest
    }
    return { zoneRows: this.#zoneRows, inputDigest: this.#inputDigest }
  }

  /** Reserves room for the rows of a part. */
  reservePartRows(): Float32Array {
    this.#partRows ??= new Float32Array(
      Math.min(this.site.recipe.count, this.site.recipe.rowsPerPart) * this.site.recipe.dim
    )
    return this.#partRows
  }

  /** Prepares to write shards; gives back what assigning needed. */
  startWriting(): WritingTools {
    this.#endAssigning()
    const { count, dim } = this.site.recipe
    this.#runRows ??= new Float32Array(
      Math.min(count * dim, Math.floor((this.#sharedBytes * RUN_SHARE) / this.#threads / 4))
    )
    this.#statistics ??= new ZoneStatistics(new KernelMemory(loadKernel()), this.site.recipe)
    const quantizer = quantizerOf(this.site.recipe, this.readTraining().originRow)
    if (quantizer !== undefined) this.#encoder ??= new ZoneEncoder(new KernelMemory(loadKernel()), quantizer)
    return { runRows: this.#runRows, statistics: this.#statistics, encoder: this.#encoder }
  }

  /**
   * Opens the index that was built, to calibrate it; gives back what writing needed. By plain reads: pages of a mapping
   * would count as memory of the build.
   */
  startCalibrating(): OpenedIndex {
    this.#endAssigning()
    this.#encoder = undefined
    this.#statistics = undefined
    this.#runRows = undefined
    if (this.#opened === undefined) {
      const snapshot = readCatalogue(this.site.path)
      const cacheBytes = Math.floor((this.#sharedBytes * CALIBRATION_SHARE) / this.#threads)
      this.#opened = openContext(snapshot, { mapping: 'pread', cacheBytes, verify: 'none' })
    }
    return this.#opened
  }

  /** Closes what is open; idempotent. */
  close(): void {
    this.#input?.close()
    this.#input = undefined
    this.#documents?.close()
    this.#documents = undefined
    this.#opened?.readers.close()
    this.#opened = undefined
  }

  #endAssigning(): void {
    this.#assigner = undefined
    this.#rowSums = undefined
    this.#partRows = undefined
    this.#centroidsOf = ''
  }
}

/** Returns the encoder of an index; undefined with `bits: 0`. mean: the point that rows were centred on. */
export function quantizerOf(recipe: Recipe, mean: Float32Array): Quantizer | undefined {
  const { dim, metric, bits, seed } = recipe
  return bits === 0 ? undefined : { dim, metric, bits, flips: drawFlips(dim, seededRandom(seed + ROTATION_SEED)), mean }
}
