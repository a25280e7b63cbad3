// An indexed folder of texts: one ZGQ index, whose payloads hold the passages. Knows nothing of processes, windows or
// Electron.
//
// A build publishes the index by one rename: vectors and passages always agree, whenever the power fails.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { ZgqIndex } from 'zgq'
import { buildIndex } from 'zgq/build'

import { listTexts, readPassages } from './passages.js'

/** Passages that the model gets at once; a search waits for no more than that while a folder is being indexed. */
const BATCH = 8

/** What filters may ask of a passage; its payload has its line and text besides. `modified`: milliseconds since 1970. */
const FIELDS = /** @type {const} */ ({ file: 'string', folder: 'string', modified: 'number' })
/** Folders that the page offers to choose from. */
const MOST_FOLDERS = 200

/**
 * @typedef {{ name: string, dim: number, embed: (texts: readonly string[]) => Promise<Float32Array> }} Embedder
 * @typedef {{ folder: string, files: number, skipped: number, passages: number, folders: string[] }} Indexed `folders`:
 * those below `folder` that have texts, with / between names; '' is `folder` itself
 * @typedef {{ code: string, message: string }} Problem
 * @typedef {{ stage: 'read' | 'build', done: number, total: number, passages: number, file?: string }} Progress `read`
 * counts bytes, `build` steps
 * @typedef {{ file: string, folder: string, line: number, text: string, modified: number }} Passage
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
  /** @type {ZgqIndex<number, Passage> | undefined} */
  #index
  /** What the open index holds. @type {Indexed | undefined} */
  #indexed
  /** Why there is an index that cannot be used. @type {Problem | undefined} */
  #problem

  /** @param {string} storage @param {Embedder} embedder */
  static open(storage, embedder) {
    mkdirSync(storage, { recursive: true })
    return new Library(storage, embedder)
  }

  /** @param {string} storage @param {Embedder} embedder */
  constructor(storage, embedder) {
    this.#embedder = embedder
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
    return this.#indexed ? { indexed: this.#indexed } : {}
  }

  /**
   * Indexes the texts of a folder in place of what was indexed before; until it is done, searches are answered from
   * that. Rejects with FOLDER_NOT_FOUND, NO_TEXTS, the signal's reason, or an error of ZGQ.
   * @param {string} folder
   * @param {Control} control
   */
  async index(folder, { signal, onProgress }) {
    const root = resolve(folder)
    const files = await listTexts(root).catch((cause) => {
      throw coded('FOLDER_NOT_FOUND', `The folder ${root} cannot be read (${cause.code}).`, cause)
    })
    if (files.length === 0) throw coded('NO_TEXTS', `There are no text files in ${root}.`)
    const count = { passages: 0 }
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
        if (index === this.#index) throw error
      }
      // Meanwhile another index took the place of this one: ask that.
    }
  }

  close() {
    this.#closeIndex()
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
        const where = { file: name, folder: folderOf(name), modified: file.modified }
        const payloads = passages.slice(i, i + BATCH).map((passage) => ({ ...where, ...passage }))
        const vectors = await this.#embedder.embed(payloads.map(({ text }) => text))
        signal.throwIfAborted()
        count.passages += payloads.length
        yield { vectors, payloads }
      }
      done += file.bytes
    }
    onProgress({ stage: 'read', done, total, passages: count.passages })
  }

  /** Opens the index that stands in its place now. */
  #takeIndex() {
    const before = this.#index
    this.#index = undefined
    this.#indexed = undefined
    this.#problem = undefined
    try {
      if (existsSync(this.#path)) this.#openIndex()
    } catch (thrown) {
      const error = /** @type {Error & Problem} */ (thrown)
      this.#problem = { code: error.code, message: error.message }
    }
    before?.close()
    const folder = this.state().indexed?.folder
    if (folder !== undefined && folder !== this.#lastFolder()) writeFileSync(this.#folderPath, folder)
  }

  #openIndex() {
    /** @type {ZgqIndex<number, Passage>} */
    const index = ZgqIndex.open(this.#path)
    try {
      const { count, model, note } = index.info()
      if (model !== this.#embedder.name)
        throw coded('MODEL_CHANGED', 'The index was made with another model: index the folder again.')
      const { folder, files: listed } = /** @type {{ folder: string, files: number }} */ (note)
      const files = index.fieldSummary('file', { values: 0 }).distinct ?? 0
      const { values = [] } = index.fieldSummary('folder', { values: MOST_FOLDERS })
      const folders = values.map(({ value }) => String(value)).sort()
      this.#indexed = { folder, files, skipped: listed - files, passages: count, folders }
      this.#index = index
    } catch (error) {
      index.close()
      throw error
    }
  }

  #closeIndex() {
    this.#index?.close()
    this.#index = undefined
  }

  #lastFolder() {
    return existsSync(this.#folderPath) ? readFileSync(this.#folderPath, 'utf8') : undefined
  }
}

/**
 * Chooses passages by where they are and when they were changed.
 * @param {string | undefined} folder @param {number | undefined} since
 * @returns {import('zgq').Filter}
 */
function filterOf(folder, since) {
  return {
    ...(folder ? { $or: [{ folder }, { folder: { $startsWith: `${folder}/` } }] } : {}),
    ...(since ? { modified: { $gte: since } } : {})
  }
}

/** The folder of a file, '' for the one that was chosen. @param {string} file */
function folderOf(file) {
  const folder = dirname(file).split(sep).join('/')
  return folder === '.' ? '' : folder
}

/** @param {string} code @param {string} message @param {unknown} [cause] */
function coded(code, message, cause) {
  return Object.assign(new Error(message, { cause }), { code })
}
