// What a worker has of one build: its store, its recipe, and threads that do its tasks.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import {
  FACTS_NAME,
  inputsOf,
  namesOf,
  outputOf,
  type ArtifactInput,
  type ArtifactTask
} from '../build/artifact-names.ts'
import { openCrew, type Crew } from '../build/crew.ts'
import { chooseThreads } from '../build/resources.ts'
import type { Site } from '../build/site.ts'
import { readStored } from '../build/stored-json.ts'
import type { StoredShard } from '../build/write-shard.ts'
import { wallMillis } from '../clock.ts'
import { ZgqError } from '../errors.ts'
import { fileNameOf } from '../format/file-record.ts'
import { removeTemporary } from '../storage/file-writer.ts'
import {
  bringInput,
  expectSharedFile,
  localRows,
  rowsRead,
  wholeFiles,
  type Brought,
  type InputSeam
} from './brought-input.ts'
import { decodeRecipe, RECIPE_OBJECT, type SharedRecipe } from './shared-recipe.ts'

/** How long the parts of a task took, in milliseconds, and what was moved, in bytes. */
export interface TaskMeasures {
  readonly fetchMs: number
  readonly runMs: number
  readonly storeMs: number
  /** From and to a bucket. */
  readonly fetchedBytes: number
  readonly storedBytes: number
  /** From and to files of a folder that all machines see. */
  readonly readBytes: number
  readonly writtenBytes: number
}

/** Small artifacts that many tasks read: their copies stay. */
const KEPT = ['sample', 'begin', 'round', 'order', 'tally']

/** A build that this process does tasks of. */
export class BuildSite {
  readonly shared: SharedRecipe
  readonly site: Site
  readonly #seam: InputSeam
  readonly #crew: Crew
  /** How many tasks use the copy of an artifact. */
  readonly #uses = new Map<string, number>()

  private constructor(shared: SharedRecipe, seam: InputSeam, threads: number) {
    const { store, folder } = seam
    this.shared = shared
    this.#seam = seam
    this.site = {
      path: store.path,
      recipe: shared.recipe,
      isDurable: folder !== undefined,
      spoolPath: join(store.path, shared.input ?? ''),
      inputPath: localRows(shared, seam),
      inputColumn: shared.rows.column ?? undefined,
      idsPath: undefined,
      inputs: []
    }
    this.#crew = openCrew(this.site, Math.max(1, chooseThreads(threads, shared.recipe)))
  }

  /**
   * Reads the recipe. Rejects with ZGQ_NOT_FOUND where the build has none (any more), with ZGQ_MISMATCH where it is of
   * another version.
   */
  static async open(seam: InputSeam, build: string, on: { threads: number; signal: AbortSignal }): Promise<BuildSite> {
    const { store } = seam
    const bytes = await store.readObject(RECIPE_OBJECT, on.signal)
    if (bytes === undefined) throw ended(store.place)
    return new BuildSite(decodeRecipe(bytes, { place: store.place, build }), seam, on.threads)
  }

  /** Does a task and stores what it leaves; undefined where that is stored already. */
  async run(
    task: ArtifactTask,
    on: { readonly rows: (done: number) => void; readonly signal: AbortSignal }
  ): Promise<TaskMeasures | undefined> {
    const { store, folder } = this.#seam
    const { signal } = on
    const { shared } = this
    const output = outputOf(shared.recipe, task)
    if (await store.has(output, signal)) return undefined
    const startedAt = wallMillis()
    const used = [output, ...inputsOf(shared.recipe, task).map(({ name }) => name)]
    for (const name of used) this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1)
    let brought: Brought | undefined
    try {
      const artifactBytes = await this.#bringArtifacts(task, signal)
      brought = await bringInput({ shared, seam: this.#seam }, task, signal)
      const fetchedAt = wallMillis()
      let rows = 0
      await this.#crew.run({ ...task, brought: brought.files }, (more) => {
        rows += more
        on.rows(rows)
      })
      signal.throwIfAborted()
      if (['sample', 'assign'].includes(task.kind)) expectSharedFile(shared, this.#seam)
      const ranAt = wallMillis()
      const storedBytes = await store.write(output, signal)
      if (folder === undefined) await this.#expectBuild(output, signal)
      const times = { fetchMs: fetchedAt - startedAt, runMs: ranAt - fetchedAt, storeMs: wallMillis() - ranAt }
      const moved = { fetchedBytes: artifactBytes + brought.bytes, storedBytes }
      return { ...times, ...moved, ...(await this.#bytesInPlace(task, output, signal)) }
    } finally {
      await brought?.close()
      for (const name of used) this.#uses.set(name, (this.#uses.get(name) ?? 1) - 1)
      if (folder === undefined) this.#release(task, output)
    }
  }

  /** Of a build that has ended meanwhile, what was stored after its end goes again: nobody else would remove it. */
  async #expectBuild(output: string, signal: AbortSignal): Promise<void> {
    const { store } = this.#seam
    if ((await store.readObject(RECIPE_OBJECT, signal)) !== undefined) return
    await store.remove(output, signal)
    throw ended(store.place)
  }

  /** Stops all tasks at once, and removes the copies. */
  async close(): Promise<void> {
    await this.#crew.close()
    await this.#seam.store.close()
  }

  async #bringArtifacts(task: ArtifactTask, signal: AbortSignal): Promise<number> {
    const wanted = [...(await this.#inputsOf(task, signal)), ...wholeFiles(this.shared, task)]
    const moved = await Promise.all(wanted.map(({ name, files }) => this.#seam.store.read(name, files, signal)))
    return moved.reduce((sum, bytes) => sum + bytes, 0)
  }

  /** Bytes of files that a task read and wrote where all machines see them. */
  async #bytesInPlace(
    task: ArtifactTask,
    output: string,
    signal: AbortSignal
  ): Promise<{ readBytes: number; writtenBytes: number }> {
    const { store, folder } = this.#seam
    if (folder === undefined) return { readBytes: 0, writtenBytes: 0 }
    const { recipe } = this.shared
    const inputs = await this.#inputsOf(task, signal)
    const sizes = inputs.map(({ name, files }) => bytesOf(join(store.path, name), files))
    const read = (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0)
    return {
      readBytes: read + Math.round(rowsRead(recipe, task) * bytesOfRow(this.shared)),
      writtenBytes: await bytesOf(join(store.path, output))
    }
  }

  /** A scan reads the vectors of its shard alone, and what these are called is in the facts. */
  async #inputsOf(task: ArtifactTask, signal: AbortSignal): Promise<ArtifactInput[]> {
    const inputs = inputsOf(this.shared.recipe, task)
    if (task.kind !== 'scan') return inputs
    const [{ name }, ...others] = inputs
    await this.#seam.store.read(name, [FACTS_NAME], signal)
    const { files } = readStored<StoredShard>(join(this.#seam.store.path, name, FACTS_NAME))
    return [{ name, files: [FACTS_NAME, ...files.vectors.map(fileNameOf)] }, ...others]
  }

  /** Gives up copies that no other task of this process reads, or is likely to. */
  #release(task: ArtifactTask, output: string): void {
    const { store } = this.#seam
    const release = (name: string): void => {
      if (this.#uses.get(name) === 0) store.release(name)
    }
    const { recipe } = this.shared
    const { trained, assigned } = namesOf(recipe)
    // Parts piece by piece: other tasks may be reading other pieces.
    if (task.kind === 'write')
      for (const { name, files = [] } of inputsOf(recipe, task))
        if (name !== trained && name !== assigned)
          for (const file of files) removeTemporary(join(store.path, name, file))
    if (task.kind === 'round')
      for (const { name } of inputsOf(recipe, task)) if (name.startsWith('partial')) release(name)
    if (task.kind === 'scan') release(namesOf(recipe).shard(task.shard))
    if (!KEPT.includes(task.kind)) release(output)
  }
}

/** Bytes of files of an artifact, all or some; those that are gone again count nothing. */
async function bytesOf(folder: string, files?: readonly string[]): Promise<number> {
  const names = files ?? (await readdir(folder).catch(() => []))
  const sizes = names.map((name) =>
    stat(join(folder, name)).then(
      ({ size }) => size,
      () => 0
    )
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** Bytes of a row of the input where that is a file which all machines see; windows count what they fetch. */
function bytesOfRow({ rows, recipe }: SharedRecipe): number {
  if (rows.kind === 'object') return 0
  return (rows.kind === 'file' ? rows.file.byteLength : rows.byteLength) / recipe.count
}

function ended(place: string): ZgqError {
  return new ZgqError('ZGQ_NOT_FOUND', 'the build has no recipe: it was given up, or has ended', { path: place })
}
