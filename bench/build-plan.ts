// The tasks of a build of any size: how many, what each reads and leaves, by the formulas of src/build, and how long it
// computes, by rates that a log of tasks gives (build-log.ts). Every formula says where it is from.

import { defaultZones } from '../src/build/default-zones.ts'
import { chooseRowsPerPart } from '../src/build/resources.ts'
import { blockRange, isEarlyRound, planSample, roundCount, type SamplePlan } from '../src/build/sample-blocks.ts'
import { planShards } from '../src/build/shards.ts'
import type { SimulatedTask, TaskGroup } from './build-simulation.ts'

/** What is built. */
export interface BuildSize {
  readonly rows: number
  readonly dim: number
  readonly memoryBytes: number
  /** Default: as many as a build takes. */
  readonly zones?: number | undefined
  /** What if parts had so many bytes? Default: as many as a build gives them. */
  readonly partBytes?: number | undefined
}

/** Nanoseconds of one thread for a unit of each kind of work. */
export interface CostRates {
  /** A value of a row times one of a centroid. */
  readonly product: number
  /** A value of a row: read, scaled and copied (sample), hashed, sorted and written (assign), encoded (write). */
  readonly sample: number
  readonly assign: number
  readonly write: number
  /** A value of a row held against one query. */
  readonly scan: number
  /** A sum of a block that is added to those of the others. */
  readonly round: number
  /** A value of a centroid, times log2 of the zones. */
  readonly order: number
  /** A count of a zone in a part. */
  readonly tally: number
  /** A row that the coordinator joins: ids, catalogue, directory. */
  readonly join: number
  /** A value of a query for which the coordinator finds thresholds. */
  readonly calibrate: number
}

/** Where artifacts are: files of a folder that all machines see are read in place, those of a bucket by requests. */
export type StoreKind = 'folder' | 'bucket'

/** The parts that a build falls into. */
export interface BuildShape extends BuildSize {
  readonly zones: number
  readonly rowsPerPart: number
  readonly parts: number
  readonly shards: number
  readonly sample: SamplePlan
  readonly queries: number
}

/** Rows pass through the kernel in calls of so many bytes (src/build/read-input.ts). */
const CALL_BYTES = 2 ** 20
/** From so many zones on rows meet groups of centroids first (src/build/assigner.ts, centroid-groups.ts). */
const GROUPED_ZONES = 1024
const GROUPS_FACTOR = 1.5
const NEAREST_GROUPS = 16
/** Rounds over the centroids to group them, and once more to sort them. */
const GROUP_ROUNDS = 5
/** Queries of a calibration (src/build/calibration-queries.ts). */
const CALIBRATION_WORK = 4e11
const [FEWEST_QUERIES, MOST_QUERIES] = [400, 1000]
/** What a scan leaves for a query (src/build/calibration-lists.ts). */
const NEIGHBOUR_BYTES = 2420
/** Pieces of large files (src/artifacts/download.ts, src/publish/s3-store.ts). */
const FETCHED_PIECE_BYTES = 2 ** 23
const STORED_PIECE_BYTES = 2 ** 24
/** Arrays in JSON are base64. */
const TEXT = 4 / 3

/** Tells how a build of some size is cut. */
export function shapeOf(size: BuildSize): BuildShape {
  const { rows, dim, memoryBytes } = size
  const zones = size.zones ?? defaultZones(rows, dim)
  const rowsPerBlock = Math.max(1, Math.floor(CALL_BYTES / (dim * 4)))
  const rowsPerPart =
    size.partBytes === undefined
      ? chooseRowsPerPart({ count: rows, dim, memoryBytes, rowsPerBlock, isShared: true })
      : Math.ceil(size.partBytes / (rowsPerBlock * dim * 4)) * rowsPerBlock
  return {
    ...size,
    zones,
    rowsPerPart,
    parts: Math.ceil(rows / rowsPerPart),
    shards: planShards(new Float64Array(zones).fill(1), { count: rows, dim }).length - 1,
    sample: planSample({ count: rows, zones, dim, rowsPerBlock }),
    queries: Math.max(FEWEST_QUERIES, Math.min(MOST_QUERIES, Math.floor(CALIBRATION_WORK / (rows * dim))))
  }
}

/** Products of the values of one row until its zone is found: it meets all centroids, or groups and then some. */
export function productsPerRow({ dim, zones }: { readonly dim: number; readonly zones: number }): number {
  if (zones < GROUPED_ZONES) return dim * zones
  const groups = Math.ceil(GROUPS_FACTOR * Math.sqrt(zones))
  return dim * (groups + (Math.min(NEAREST_GROUPS, groups) * zones) / groups)
}

/** Products until the centroids are grouped, in each thread and round. */
export function groupingProducts({ dim, zones }: { readonly dim: number; readonly zones: number }): number {
  return zones < GROUPED_ZONES ? 0 : GROUP_ROUNDS * zones * Math.ceil(GROUPS_FACTOR * Math.sqrt(zones)) * dim
}

/** Plans the tasks of a build, group by group. */
export function planBuild(size: BuildSize, rates: CostRates, store: StoreKind): TaskGroup[] {
  const plan = new BuildPlan(shapeOf(size), rates, store)
  return [...plan.training(), ...plan.rows(), ...plan.ending()]
}

interface Work {
  /** Nanoseconds. */
  readonly cost: number
  readonly fetched: number
  readonly stored: number
  /** Files apart, in the place of what bytes alone make. */
  readonly fetchedFiles?: number
  readonly storedFiles?: number
}

class BuildPlan {
  readonly #shape: BuildShape
  readonly #rates: CostRates
  readonly #store: StoreKind
  /** Bytes of a row, of the centroids (float32), and of the centroids as JSON has them. */
  readonly #rowBytes: number
  readonly #centroidBytes: number

  constructor(shape: BuildShape, rates: CostRates, store: StoreKind) {
    this.#shape = shape
    this.#rates = rates
    this.#store = store
    this.#rowBytes = shape.dim * 4
    this.#centroidBytes = shape.zones * shape.dim * 4
  }

  /** Sample, rounds and order: src/build/sample.ts, train.ts. */
  training(): TaskGroup[] {
    const { zones, dim, sample } = this.#shape
    const blocks = Array.from({ length: sample.blocks }, (_, block) => blockRange(sample, block).count)
    const groups: TaskGroup[] = [
      {
        name: 'sample',
        after: [],
        tasks: blocks.map((count) => this.#sampled(count))
      },
      this.#alone('begin', 'sample', { cost: 0, fetched: this.#centroidBytes, stored: this.#centroidBytes })
    ]
    for (let round = 0; round < roundCount({ zones }); round++) {
      const share = sample.hasEarly && isEarlyRound(round) ? 0.25 : 1
      const partial = `partial ${round}`
      groups.push({
        name: partial,
        after: [round === 0 ? 'begin' : `round ${round - 1}`],
        tasks: blocks.map((count) => this.#sum(count * share, partial))
      })
      const sums = blocks.length * zones * (dim + 1) * 8
      const joined = { cost: (sums / 8) * this.#rates.round, fetched: sums, stored: this.#centroidBytes }
      groups.push(this.#alone(`round ${round}`, partial, { ...joined, fetchedFiles: blocks.length * 2 }))
    }
    const order = {
      cost: zones * dim * Math.log2(zones + 1) * this.#rates.order,
      fetched: this.#centroidBytes,
      stored: this.#centroidBytes * TEXT
    }
    groups.push(this.#alone('order', `round ${roundCount({ zones }) - 1}`, order))
    return groups
  }

  /** Rows drawn at random: from a bucket all between the first and the last come, in a folder each by itself. */
  #sampled(count: number): SimulatedTask {
    const { dim, rows, sample } = this.#shape
    const all = (count / sample.count) * rows
    return this.#task({
      cost: count * dim * this.#rates.sample,
      fetched: (this.#store === 'folder' ? count : all) * this.#rowBytes,
      fetchedFiles: this.#store === 'folder' ? count : 0,
      stored: count * this.#rowBytes * 1.25 // the early sample again
    })
  }

  /** Sums up the rows of a block, in float64. */
  #sum(rows: number, key: string): SimulatedTask {
    const { zones, dim } = this.#shape
    return {
      ...this.#task({
        cost: rows * productsPerRow(this.#shape) * this.#rates.product,
        fetched: rows * this.#rowBytes,
        stored: zones * (dim + 1) * 8,
        storedFiles: 3
      }),
      setup: this.#centroidsOnce(key, 1)
    }
  }

  /** Each worker fetches the centroids of a round once, each of its threads groups them. */
  #centroidsOnce(key: string, length: number): NonNullable<SimulatedTask['setup']> {
    return {
      key,
      fetchedBytes: this.#store === 'folder' ? 0 : this.#centroidBytes * length,
      computeMs: (groupingProducts(this.#shape) * this.#rates.product) / 1e6
    }
  }

  /** Assignment, count and shards: src/build/assign-part.ts, join-parts.ts, write-shard.ts. */
  rows(): TaskGroup[] {
    const { rows, dim, zones, parts, shards, rowsPerPart } = this.#shape
    const partBytes = (count: number): number => count * (this.#rowBytes + 8) + zones * 4
    const factsBytes = zones * 4 * TEXT
    const assign = Array.from({ length: parts }, (_, part): SimulatedTask => {
      const count = Math.min(rowsPerPart, rows - part * rowsPerPart)
      return {
        ...this.#task({
          cost: count * (productsPerRow(this.#shape) * this.#rates.product + dim * this.#rates.assign),
          fetched: count * this.#rowBytes,
          stored: partBytes(count) + factsBytes,
          storedFiles: shards + 2
        }),
        setup: this.#centroidsOnce('trained', TEXT)
      }
    })
    const write = Array.from({ length: shards }, () =>
      this.#task({
        cost: (rows / shards) * dim * this.#rates.write,
        fetched: partBytes(rows / shards),
        fetchedFiles: parts,
        stored: this.#indexBytes() / shards
      })
    )
    const counts = parts * zones
    return [
      { name: 'assign', after: ['order'], tasks: assign },
      this.#alone('tally', 'assign', {
        cost: counts * this.#rates.tally,
        fetched: parts * factsBytes,
        fetchedFiles: parts,
        stored: factsBytes
      }),
      { name: 'write', after: ['tally'], tasks: write }
    ]
  }

  /** The coordinator joins the shards, workers scan them, the coordinator calibrates: src/queue/build-on-queue.ts. */
  ending(): TaskGroup[] {
    const { rows, dim, shards, queries } = this.#shape
    const scan = Array.from({ length: shards }, () =>
      this.#task({
        cost: (rows / shards) * dim * queries * this.#rates.scan,
        fetched: (rows / shards) * this.#rowBytes,
        stored: queries * NEIGHBOUR_BYTES
      })
    )
    const atCoordinator = (name: string, after: string[], work: Work): TaskGroup => ({
      name,
      after,
      tasks: [{ ...this.#task(work), isAtCoordinator: true }]
    })
    return [
      atCoordinator('join', ['write'], { cost: rows * this.#rates.join, fetched: this.#indexBytes(), stored: 0 }),
      { name: 'scan', after: ['join'], tasks: scan },
      atCoordinator('calibrate', ['scan'], {
        cost: queries * dim * this.#rates.calibrate,
        fetched: shards * queries * NEIGHBOUR_BYTES,
        stored: 0
      })
    ]
  }

  /** Rows, codes of 4 bits a value, and ids, checksums and padding: 634 bytes a row were measured for 128 values. */
  #indexBytes(): number {
    const { rows, dim } = this.#shape
    return rows * (dim * 4.5 + 58)
  }

  #alone(name: string, after: string, work: Work): TaskGroup {
    return { name, after: [after], tasks: [this.#task(work)] }
  }

  /** Requests: of a bucket those for files and pieces, in a folder what waits for the server once for each file. */
  #task({ cost, fetched, stored, fetchedFiles = 0, storedFiles = 0 }: Work): SimulatedTask {
    const task = { computeMs: cost / 1e6, fetchedBytes: fetched, storedBytes: stored }
    if (this.#store === 'folder') return { ...task, fetchRequests: fetchedFiles, storeRequests: storedFiles }
    return {
      ...task,
      fetchRequests: Math.max(fetchedFiles, Math.ceil(fetched / FETCHED_PIECE_BYTES)),
      storeRequests: Math.max(storedFiles, Math.ceil(stored / STORED_PIECE_BYTES)) + 1 // the list of its files
    }
  }
}
