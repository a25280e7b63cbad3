// An indexed folder of texts: one ZGQ index, whose payloads hold the passages. It follows the folder: what is saved
// there is found a second later. Knows nothing of processes, windows or Electron; any number of processes may do this
// with one index.
//
// A build publishes the index by one rename, and a file is replaced in one transaction: vectors and passages always
// agree, whenever the power fails.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { ZgqIndex } from 'zgq'
import { buildIndex } from 'zgq/build'

import { watchFolder } from './folder-watch.js'
import { listTexts, readPassages } from './passages.js'
import { FIELDS, filterOf, idOf, payloadsOf, stampOf } from './rows.js'

/** Passages that the model gets at once; a search waits for no more than that while a folder is being indexed. */
const BATCH = 8

/** Folders that the page offers to choose from. */
const MOST_FOLDERS = 200
/**
 * @typedef {{ name: string, dim: number, embed: (texts: readonly string[]) => Promise<Float32Array> }} Embedder
 * @typedef {{ folder: string, files: number, skipped: number, passages: number, folders: string[] }} Indexed `folders`:
 * those below `folder` that have texts, with / between names; '' is `folder` itself
 * @typedef {{ code: string, message: string }} Problem
 * @typedef {{ stage: 'read' | 'build', done: number, total: number, passages: number, file?: string }} Progress `read`
 * counts bytes, `build` steps
 * @typedef {import('./rows.js').Passage} Passage
 * @typedef {Passage & { similarity: number }} Found
 * @typedef {{ k?: number, folder?: string, since?: number }} SearchOptions `folder`: only texts in it or below; `since`:
 * only those that were changed then or later, in milliseconds since 1970
 * @typedef {{ signal: AbortSignal, onProgress: (progress: Progress) => void }} Control
 * @typedef {Control & { root: string, files: import('./passages.js').TextFile[], count: { passages: number } }} Reading
 */

export class Library {
  #embedder
  #path
  /** A file with the folder that was indexed last: where the index cannot be read, it can be made anew of that. */
  #folderPath
  #onChange
  /** @type {ZgqIndex<string, Passage> | undefined} */
  #index
  /** Tells the folder of the open index from one that took its place. @type {string | undefined} */
  #identity
  /** Files that were looked at last, with those that hold no text. @type {number | undefined} */
  #listed
  /** Files without text, as they were: nothing of them is in the index. @type {Map<string, string>} */
  #withoutText = new Map()
  /** @type {(() => void) | undefined} */
  #endWatching
  /** @type {Promise<void> | undefined} */
  #following
  #isChangedAgain = false
  /** The last change of the index that was told. */
  #told = 0
  /** Why there is an index that cannot be used. @type {Problem | undefined} */
  #problem

  /**
   * `onChange` is called when texts that changed can be found, or with what keeps them from it.
   * @param {string} storage @param {Embedder} embedder @param {(problem?: Problem) => void} [onChange]
   */
  static open(storage, embedder, onChange = () => undefined) {
    mkdirSync(storage, { recursive: true })
    return new Library(storage, embedder, onChange)
  }

  /** @param {string} storage @param {Embedder} embedder @param {(problem?: Problem) => void} onChange */
  constructor(storage, embedder, onChange) {
    this.#embedder = embedder
    this.#onChange = onChange
    this.#path = join(storage, 'passages.zgq')
    this.#folderPath = join(storage, 'folder.txt')
    this.#takeIndex()
  }

  /**
   * Describes what can be searched, or why that which is there cannot be. @returns {{ indexed?: Indexed, problem?:
   * Problem, folder?: string }}
   */
  state() {
    if (this.#problem) return { problem: this.#problem, folder: this.#lastFolder() }
    return this.#index ? { indexed: this.#describe(this.#index) } : {}
  }

  /**
   * Indexes the texts of a folder in place of what was indexed before; until it is done, searches are answered from
   * that. Rejects with FOLDER_NOT_FOUND, NO_TEXTS, the signal's reason, or an error of ZGQ.
   * @param {string} folder
   * @param {Control} control
   */
  async index(folder, { signal, onProgress }) {
    const root = resolve(folder)
    const files = await listFolder(root)
    if (files.length === 0) throw coded('NO_TEXTS', `There are no text files in ${root}.`)
    const count = { passages: 0 }
    await this.#stopFollowing()
    try {
      await buildIndex({
        input: this.#batches({ root, files, count, signal, onProgress }),
        dim: this.#embedder.dim,
        metric: 'cosine',
        fields: FIELDS,
        model: this.#embedder.name,
        note: { folder: root, files: files.length },
        output: this.#path,
        force: true, // replaces the index that is open; its readers keep the old files until they close them
        signal,
        onProgress: ({ stage, done, total }) => {
          if (stage !== 'read') onProgress({ stage: 'build', done, total, passages: count.passages })
          // Windows renames no folder whose files are open: searches pause there for a moment.
          if (stage === 'publish' && done === 0 && process.platform === 'win32') this.#closeIndex()
        }
      }).catch((error) => {
        throw error.code === 'ZGQ_BUILD_INPUT' && count.passages === 0
          ? coded('NO_TEXTS', `The text files in ${root} hold no text.`, error)
          : error
      })
    } finally {
      this.#takeIndex() // the new one; after an error, the one before it
    }
    return this.state()
  }

  /**
   * Finds the passages nearest in meaning.
   * @param {string} text
   * @param {SearchOptions} [options]
   * @returns {Promise<Found[]>}
   */
  async search(text, { k = 10, folder, since } = {}) {
    if (typeof text !== 'string' || text.trim() === '') throw coded('EMPTY_QUERY', 'Type what to search for.')
    const query = await this.#embedder.embed([text])
    for (;;) {
      const index = this.#index
      if (!index) throw coded('NO_INDEX', 'Index a folder first.')
      try {
        const hits = await index.searchAsync(query, { k, filter: filterOf(folder, since), payload: true })
        if (index === this.#index)
          return hits.map(({ payload, distance }) => ({
            .../** @type {Passage} */ (payload),
            similarity: 1 - distance
          }))
      } catch (error) {
        if (index === this.#index && !this.#takeReplaced()) throw error
      }
      // Meanwhile another index took the place of this one: ask that.
    }
  }

  close() {
    void this.#stopFollowing()
    this.#closeIndex()
  }

  /** Follows the folder of the open index, from what has changed since it was followed last. */
  #follow() {
    if (!this.#index) return
    const { folder } = this.#describe(this.#index)
    this.#told = this.#index.info().changes.commit
    const ends = [
      watchFolder(folder, () => this.#catchUp()),
      watchFolder(dirname(this.#path), () => this.#catchUp(), { recursive: false }) // another index may come there
    ]
    this.#endWatching = () => ends.forEach((end) => end())
    this.#catchUp()
  }

  async #stopFollowing() {
    this.#endWatching?.()
    this.#endWatching = undefined
    await this.#following
  }

  /** Brings the index up to date with the folder, once more if that changes meanwhile. */
  #catchUp() {
    this.#isChangedAgain = true
    this.#following ??= this.#catchUpNow().finally(() => {
      this.#following = undefined
    })
  }

  async #catchUpNow() {
    while (this.#isChangedAgain && this.#endWatching && this.#index) {
      this.#isChangedAgain = false
      try {
        if (this.#takeReplaced()) this.#onChange()
        if (this.#index) await this.#update(this.#index, this.#describe(this.#index).folder)
        // What another process wrote is told too.
        const { commit = 0 } = this.#index?.info().changes ?? {}
        if (commit !== this.#told) this.#onChange()
        this.#told = commit
      } catch (thrown) {
        const error = /** @type {Error & Problem} */ (thrown)
        if (error.code === 'ZGQ_CLOSED') continue // another index is open now, or none
        if (this.#takeReplaced()) this.#onChange()
        else this.#onChange({ code: error.code, message: error.message })
      }
    }
  }

  /**
   * Replaces the passages of files that were saved, and removes those of files that are gone.
   * @param {ZgqIndex<string, Passage>} index @param {string} root
   */
  async #update(index, root) {
    const files = await listFolder(root)
    this.#listed = files.length
    const names = new Set(files.map(({ path }) => relative(root, path)))
    const { values = [] } = index.fieldSummary('file', { values: index.count() })
    for (const file of values.map(({ value }) => String(value)))
      if (!names.has(file)) await index.delete({ filter: { file } })
    for (const file of files) {
      if (!this.#endWatching) return
      const name = relative(root, file.path)
      if (this.#isCurrent(index, name, file)) continue
      const passages = (await readPassages(file)) ?? []
      const rows = []
      for (let i = 0; i < passages.length; i += BATCH) {
        const some = payloadsOf(name, file, passages.slice(i, i + BATCH))
        const vectors = await this.#embedder.embed(some.map(({ text }) => text))
        if (!this.#endWatching) return
        const { dim } = this.#embedder
        for (const [j, payload] of some.entries())
          rows.push({ id: idOf(name, i + j), vector: vectors.subarray(j * dim, (j + 1) * dim), payload })
      }
      if (rows.length === 0) this.#withoutText.set(name, stampOf(file))
      // Another process may have been faster: the same rows need not be written twice.
      if (rows.length === 0 || !this.#isCurrent(index, name, file))
        await index.upsert(rows, { replace: { file: name } })
    }
  }

  /**
   * Tells whether the index has a file as it is now.
   * @param {ZgqIndex<string, Passage>} index @param {string} name @param {import('./passages.js').TextFile} file
   */
  #isCurrent(index, name, file) {
    if (this.#withoutText.get(name) === stampOf(file)) return true
    const { payload } = index.document(idOf(name, 0)) ?? {}
    return payload !== undefined && payload !== null && stampOf(payload) === stampOf(file)
  }

  /** Opens the new index where another process has put one into the place of ours. */
  #takeReplaced() {
    const identity = identityOf(this.#path)
    if (identity === undefined || identity === this.#identity) return false
    this.#endWatching?.()
    this.#takeIndex()
    return true
  }

  /**
   * Reads, cuts and embeds the files, and gives vectors and passages to the build, a batch at a time: memory does not
   * grow with the texts. @param {Reading} reading
   */
  async *#batches({ root, files, count, signal, onProgress }) {
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
    let done = 0
    for (const file of files) {
      const name = relative(root, file.path)
      const passages = await readPassages(file)
      for (let i = 0; passages && i < passages.length; i += BATCH) {
        onProgress({
          stage: 'read',
          done: done + (file.bytes * i) / passages.length,
          total,
          passages: count.passages,
          file: name
        })
        const payloads = payloadsOf(name, file, passages.slice(i, i + BATCH))
        const ids = payloads.map((_, j) => idOf(name, i + j))
        const vectors = await this.#embedder.embed(payloads.map(({ text }) => text))
        signal.throwIfAborted()
        count.passages += payloads.length
        yield { ids, vectors, payloads }
      }
      done += file.bytes
    }
    onProgress({ stage: 'read', done, total, passages: count.passages })
  }

  /** Opens the index that stands in its place now. */
  #takeIndex() {
    const before = this.#index
    this.#index = undefined
    this.#listed = undefined
    this.#withoutText.clear()
    this.#problem = undefined
    try {
      this.#identity = identityOf(this.#path)
      if (this.#identity !== undefined) this.#openIndex()
    } catch (thrown) {
      const error = /** @type {Error & Problem} */ (thrown)
      this.#problem = { code: error.code, message: error.message }
    }
    before?.close()
    const folder = this.state().indexed?.folder
    if (folder !== undefined && folder !== this.#lastFolder()) writeFileSync(this.#folderPath, folder)
    this.#follow()
  }

  #openIndex() {
    /** @type {ZgqIndex<string, Passage>} */
    let index
    try {
      index = ZgqIndex.open(this.#path, { mode: 'write', model: this.#embedder.name })
    } catch (thrown) {
      const error = /** @type {Error & Problem} */ (thrown)
      throw error.code === 'ZGQ_MISMATCH'
        ? coded('MODEL_CHANGED', 'The index was made with another model: index the folder again.', error)
        : error
    }
    try {
      this.#describe(index)
      this.#index = index
    } catch (error) {
      index.close()
      throw error
    }
  }

  /** @param {ZgqIndex<string, Passage>} index @returns {Indexed} */
  #describe(index) {
    const { count, note } = index.info()
    const { folder, files: listed } = /** @type {{ folder: string, files: number }} */ (note)
    const files = index.fieldSummary('file', { values: 0 }).distinct ?? 0
    const { values = [] } = index.fieldSummary('folder', { values: MOST_FOLDERS })
    const folders = values.map(({ value }) => String(value)).sort()
    return { folder, files, skipped: Math.max(0, (this.#listed ?? listed) - files), passages: count, folders }
  }

  #closeIndex() {
    this.#index?.close()
    this.#index = undefined
  }

  #lastFolder() {
    return existsSync(this.#folderPath) ? readFileSync(this.#folderPath, 'utf8') : undefined
  }
}

/** Names a folder wherever it is moved; undefined where there is none. @param {string} path */
function identityOf(path) {
  const { dev, ino } = statSync(path, { throwIfNoEntry: false, bigint: true }) ?? {}
  return ino === undefined ? undefined : `${dev} ${ino}`
}

/** @param {string} root */
function listFolder(root) {
  return listTexts(root).catch((cause) => {
    throw coded('FOLDER_NOT_FOUND', `The folder ${root} cannot be read (${cause.code}).`, cause)
  })
}

/** @param {string} code @param {string} message @param {unknown} [cause] */
function coded(code, message, cause) {
  return Object.assign(new Error(message, { cause }), { code })
}
