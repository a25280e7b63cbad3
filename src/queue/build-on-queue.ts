// A build on a queue: this process coordinates, workers on any number of machines do the tasks. The index then comes
// together here, calibrated and published by one rename, as that of every build.

import { constants, renameSync } from 'node:fs'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import { BucketInputs } from '../artifacts/bucket-inputs.ts'
import { expectUsableStore, isBucketUrl, openArtifactStore } from '../artifacts/open-store.ts'
import { namesOf } from '../build/artifact-names.ts'
import { isDone, readAssignment, readTraining } from '../build/artifacts.ts'
import { checkBuildOptions, OPTION_NAMES, type BuildOptions, type BuildPlan } from '../build/build-options.ts'
import { readCalibrationQueries } from '../build/calibration-queries.ts'
import { publishStage, type BuildReport } from '../build/publish-stage.ts'
import { isJoined, type Site } from '../build/site.ts'
import { openTell, withCrew } from '../build/stages.ts'
import { decodeWords } from '../build/stored-json.ts'
import { WorkingFolder } from '../build/working-folder.ts'
import { expectUnchanged } from '../build/fingerprint.ts'
import { loadDriver } from '../catalogue/load-driver.ts'
import { wrapWriteError, ZgqError } from '../errors.ts'
import { checkOptionNames, expectFunction } from '../options.ts'
import { inParallel } from '../pack/parallel.ts'
import type { S3ClientLike } from '../publish/s3-bucket.ts'
import { syncFile, syncFolder } from '../storage/file-writer.ts'
import { coordinatorName } from './coordinator-name.ts'
import { JobQueue } from './job-queue.ts'
import type { QueueFacts } from './job-run.ts'
import { checkTexts, expectStore, expectUrl, S3_NAMES } from './queue-options.ts'
import { writeShards, type QueueWork } from './queue-stages.ts'
import { scanByWorkers } from './scan-by-workers.ts'
import { fillInput, shareInput, type SharedInput } from './shared-input.ts'
import { buildName, decodeRecipe, encodeRecipe, RECIPE_OBJECT } from './shared-recipe.ts'

/** Options of `buildOnQueue`: those of a build, and where it is done. */
export interface QueueBuildOptions extends BuildOptions {
  /** URL of Redis: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://` for TLS. */
  readonly queue: string
  /** Where workers leave their results: a folder that all machines see, or `s3://bucket/prefix`. */
  readonly store: string
  /** The `S3Client` for buckets. Default: one that takes region and credentials from the environment. */
  readonly client?: S3ClientLike | undefined
  /** URL of a store other than AWS; only without `client`. */
  readonly endpoint?: string | undefined
  /** Region of the buckets; only without `client`. */
  readonly region?: string | undefined
  /** What the keys in Redis begin with. Default `bull`, as BullMQ has it; the same for the workers. */
  readonly prefix?: string | undefined
  /** Called every two seconds with what the queue is like, of all builds. Without workers nothing goes on. */
  readonly onQueue?: ((facts: QueueFacts) => void) | undefined
}

const QUEUE_NAMES = ['queue', 'store', ...S3_NAMES, 'prefix', 'onQueue']
const SHARDS_AT_A_TIME = 2
/** After these, the work stays for the same call to go on with: they are no fault of the input or the options. */
const PASSING = new Set(['ZGQ_IO', 'ZGQ_READ_ONLY', 'ZGQ_LOCKED', 'ZGQ_CLOSED', 'ZGQ_NOT_FOUND'])

/**
 * Builds an index as `buildIndex` does, to the same bytes, with the workers of a queue (`openWorker`, `zgq worker`).
 * The input may also be an object of a bucket, `s3://bucket/key`; workers read that, and files in the folder of the
 * store, where they are, and get everything else through the store. Several calls for the same build share its tasks.
 *
 * Rejects as `buildIndex` does; with ZGQ_IO where Redis or the store cannot be reached or deny access; with
 * ZGQ_UNSUPPORTED where a package is missing or a bucket has no conditional writes; with ZGQ_MISMATCH where another
 * version of this library has begun the build. A build that was stopped, or failed for a reason that may pass, leaves
 * its work in the store, and the same call goes on with it.
 */
export async function buildOnQueue(options: QueueBuildOptions): Promise<BuildReport> {
  checkOptionNames('buildOnQueue', options, [...OPTION_NAMES, ...QUEUE_NAMES])
  const { queue: url, store, client, endpoint, region, prefix, onQueue, ...rest } = options
  const plan = checkBuildOptions(rest)
  expectUrl('queue', url)
  expectStore('store', store)
  checkTexts({ endpoint, region, prefix })
  if (onQueue !== undefined) expectFunction('onQueue', onQueue)
  plan.signal?.throwIfAborted()
  loadDriver()
  const queue = await JobQueue.open(url, { prefix, signal: plan.signal })
  try {
    const place = { store, client, endpoint, region }
    await expectUsableStore({ store, signal: plan.signal, ...(isBucketUrl(store) ? { client, endpoint, region } : {}) })
    return await new QueueBuild({ plan, queue, place, onQueue }).run()
  } finally {
    await queue.close()
  }
}

interface Place {
  readonly store: string
  readonly client: S3ClientLike | undefined
  readonly endpoint: string | undefined
  readonly region: string | undefined
}

interface Begun {
  readonly plan: BuildPlan
  readonly queue: JobQueue
  readonly place: Place
  readonly onQueue: ((facts: QueueFacts) => void) | undefined
}

class QueueBuild {
  readonly #begun: Begun
  readonly #signal: AbortSignal

  constructor(begun: Begun) {
    this.#begun = begun
    this.#signal = begun.plan.signal ?? new AbortController().signal
  }

  async run(): Promise<BuildReport> {
    const { plan } = this.#begun
    const folder = WorkingFolder.take(plan.output, plan.force)
    try {
      const input = await this.#readInput(folder)
      return await this.#build(folder, input)
    } catch (error) {
      if (this.#mayGoOn(error)) folder.leave()
      else folder.discard()
      throw error
    }
  }

  async #readInput(folder: WorkingFolder): Promise<SharedInput> {
    const { plan, place } = this.#begun
    const { store, ...s3 } = place
    const inputs = new BucketInputs({ ...s3, scratch: folder.path })
    try {
      return await shareInput(plan, folder, { store, inputs })
    } finally {
      await inputs.close()
    }
  }

  async #build(folder: WorkingFolder, input: SharedInput): Promise<BuildReport> {
    const { queue } = this.#begun
    const build = buildName(input.shared)
    const store = await this.#openStore(folder, build)
    let isToGo = false
    try {
      await queue.join(build, coordinatorName(folder.path))
      const report = await this.#finish({ folder, input, store, build })
      isToGo = true
      return report
    } catch (error) {
      isToGo = !this.#mayGoOn(error)
      throw error
    } finally {
      await this.#leave({ store, build, isToGo })
    }
  }

  async #openStore(folder: WorkingFolder, build: string): Promise<ArtifactStore> {
    const { store, ...s3 } = this.#begun.place
    const options = { store, build, signal: this.#signal }
    return await openArtifactStore(isBucketUrl(store) ? { ...options, ...s3, scratch: folder.path } : options)
  }

  /** Ends the coordination; the last one of a build that is over removes what it left. */
  async #leave(of: { readonly store: ArtifactStore; readonly build: string; readonly isToGo: boolean }): Promise<void> {
    const { store, build, isToGo } = of
    try {
      const isLast = await this.#begun.queue.leave(build)
      if (isLast && isToGo) {
        const { signal } = new AbortController()
        await store.remove(RECIPE_OBJECT, signal) // first: no worker begins a task then
        await store.clear(signal)
      }
    } catch {
      return // how the build ended says more; what stays is found by the name of the build
    } finally {
      await store.close()
    }
  }

  async #finish(of: {
    readonly folder: WorkingFolder
    readonly input: SharedInput
    readonly store: ArtifactStore
    readonly build: string
  }): Promise<BuildReport> {
    const { plan } = this.#begun
    const { folder, input, store, build } = of
    const { site } = input
    const queries = readCalibrationQueries(plan.queries, site.recipe)
    const { queue, onQueue } = this.#begun
    const work = { store, queue, build, onQueue, recipe: site.recipe, tell: openTell(plan), signal: this.#signal }
    const isBegun = isJoined(site)
    if (!isBegun) {
      await this.#share({ store, build }, input)
      await writeShards(work, {
        shardStarts: async () => {
          await this.#bring(work, site, namesOf(site.recipe).trained)
          return readTraining(site).shardStarts
        },
        zoneRows: async () => {
          await this.#bring(work, site, namesOf(site.recipe).assigned)
          return decodeWords(readAssignment(site).zoneRows)
        }
      })
      expectUnchanged(input.stamps) // workers see no times of files, and look at a sample of the bytes
      await this.#bringShards(work, site)
    }
    // Of an index that was joined before, shards may be gone from the store: it is calibrated here.
    const scan = isBegun ? undefined : await scanByWorkers(work, site)
    return await withCrew(plan, site, (crew) => publishStage({ plan, folder, site, queries, scan }, crew))
  }

  /** Puts the recipe and the input into the store: the recipe first, which a bucket may refuse. */
  async #share(
    { store, build }: { readonly store: ArtifactStore; readonly build: string },
    { shared, files, stamps }: SharedInput
  ): Promise<void> {
    const signal = this.#signal
    decodeRecipe(await store.publish(RECIPE_OBJECT, encodeRecipe(shared), signal), { place: store.place, build })
    if (shared.input !== null && !(await store.has(shared.input, signal))) {
      await fillInput(join(store.path, shared.input), files, !isBucketUrl(this.#begun.place.store))
      if (shared.rows.kind === 'artifact') expectUnchanged(stamps)
      await store.write(shared.input, signal)
      if (isBucketUrl(this.#begun.place.store)) store.release(shared.input)
    }
  }

  /** Brings an artifact into the working folder, where this machine goes on with it. */
  async #bring({ store }: Pick<QueueWork, 'store'>, site: Site, name: string): Promise<void> {
    const to = join(site.path, name)
    const isThere = (await readdir(site.path)).includes(name)
    if (isThere) return
    await store.read(name, undefined, this.#signal)
    const from = join(store.path, name)
    const temporary = `${to}.brought`
    try {
      const isOurs = isBucketUrl(this.#begun.place.store) // a copy, which need not be copied again
      await mkdir(temporary, { recursive: true })
      for (const file of await readdir(from)) {
        const place = join(temporary, file)
        if (isOurs) renameSync(join(from, file), place)
        else await copyFile(join(from, file), place, constants.COPYFILE_FICLONE)
        syncFile(place) // it becomes a file of the index
      }
      syncFolder(temporary)
      renameSync(temporary, to)
      store.release(name)
    } catch (error) {
      throw wrapWriteError(error, to, 'bring an artifact to its place')
    }
  }

  async #bringShards(work: QueueWork, site: Site): Promise<void> {
    const { shardStarts } = readTraining(site)
    const names = namesOf(site.recipe)
    const zoneRows = decodeWords(readAssignment(site).zoneRows)
    const { count } = site.recipe
    let rows = 0
    const shards = Array.from({ length: shardStarts.length - 1 }, (_, shard) => shard)
    await work.tell.now('fetch', 0, count)
    await inParallel(shards, { most: SHARDS_AT_A_TIME, signal: this.#signal }, async (shard) => {
      if (!isDone(site, { kind: 'write', shard })) await this.#bring(work, site, names.shard(shard))
      rows += zoneRows.subarray(shardStarts[shard], shardStarts[shard + 1]).reduce((sum, some) => sum + some, 0)
      work.tell.note('fetch', rows, count)
    })
  }

  /** Whether the work is to stay for the same call. */
  #mayGoOn(error: unknown): boolean {
    const { plan } = this.#begun
    if (plan.signal?.aborted === true) return plan.keepWork
    return error instanceof ZgqError && PASSING.has(error.code)
  }
}
