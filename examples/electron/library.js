// An indexed folder of texts: the vectors in a ZGQ index, the passages beside it in SQLite. Knows nothing of processes,
// windows or Electron.
//
// Ids of passages are never used twice. A build adds its passages under new ids, and then publishes the index by one
// rename: so the index that stands in its place always has all of its passages, whenever the power fails. Passages of
// no index are cleared away later.

import { existsSync, mkdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { ZgqIndex } from 'zgq'
import { buildIndex } from 'zgq/build'

import { listTexts, readPassages } from './passages.js'

/** Passages that the model gets at once; a search waits for no more than that while a folder is being indexed. */
const BATCH = 8

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS builds (id INTEGER PRIMARY KEY AUTOINCREMENT, folder TEXT, model TEXT, files INTEGER, skipped INTEGER);
  CREATE TABLE IF NOT EXISTS passages (id INTEGER PRIMARY KEY AUTOINCREMENT, build INTEGER, file TEXT, line INTEGER, text TEXT);
  CREATE INDEX IF NOT EXISTS passages_of_build ON passages (build);`

/**
 * @typedef {{ name: string, dim: number, embed: (texts: readonly string[]) => Promise<Float32Array> }} Embedder
 * @typedef {{ folder: string, files: number, skipped: number, passages: number }} Indexed
 * @typedef {{ code: string, message: string }} Problem
 * @typedef {{ stage: 'read' | 'build', done: number, total: number, passages: number, file?: string }} Progress `read`
 * counts bytes, `build` steps
 * @typedef {{ file: string, line: number, text: string, similarity: number }} Found
 * @typedef {{ signal: AbortSignal, onProgress: (progress: Progress) => void }} Control
 * @typedef {Control & { build: number, root: string, files: { path: string, bytes: number }[], count: { passages:
 * number } }} Reading
 */

export class Library {
  #embedder
  #path
  #db
  /** @type {ZgqIndex | undefined} */
  #index
  /** The build that the open index is of; 0: none. */
  #build = 0
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
    this.#db = new Database(join(storage, 'passages.sqlite'))
    this.#db.exec(SCHEMA)
    this.#takeIndex()
  }

  /**
   * Describes what can be searched, or why that which is there cannot be. @returns {{ indexed?: Indexed, problem?:
   * Problem, folder?: string }}
   */
  state() {
    if (this.#problem) {
      const last = /** @type {any} */ (
        this.#db.prepare('SELECT folder FROM builds WHERE files IS NOT NULL ORDER BY id DESC').get()
      )
      return { problem: this.#problem, folder: last?.folder }
    }
    if (!this.#index) return {}
    const { folder, files, skipped } = /** @type {any} */ (
      this.#db.prepare('SELECT folder, files, skipped FROM builds WHERE id = ?').get(this.#build)
    )
    return { indexed: { folder, files, skipped, passages: this.#index.info().count } }
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
    const build = Number(
      this.#db.prepare('INSERT INTO builds (folder, model) VALUES (?, ?)').run(root, this.#embedder.name)
        .lastInsertRowid
    )
    const count = { passages: 0 }
    try {
      await buildIndex({
        input: this.#batches({ build, root, files, count, signal, onProgress }),
        dim: this.#embedder.dim,
        metric: 'cosine',
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
   * @returns {Promise<Found[]>}
   */
  async search(text, k = 10) {
    if (typeof text !== 'string' || text.trim() === '') throw coded('EMPTY_QUERY', 'Type what to search for.')
    const query = await this.#embedder.embed([text])
    const passage = this.#db.prepare('SELECT file, line, text FROM passages WHERE id = ?')
    for (;;) {
      const index = this.#index
      if (!index) throw coded('NO_INDEX', 'Index a folder first.')
      try {
        const hits = await nearest(index, query, k)
        if (index === this.#index)
          return hits.map(({ id, distance }) => ({ .../** @type {any} */ (passage.get(id)), similarity: 1 - distance }))
      } catch (error) {
        if (index === this.#index) throw error
      }
      // Meanwhile another index took the place of this one: ask that.
    }
  }

  close() {
    this.#closeIndex()
    this.#db.close()
  }

  /**
   * Reads, cuts and embeds the files, stores the passages, and gives the vectors to the build, a batch at a time:
   * memory does not grow with the texts. @param {Reading} reading
   */
  async *#batches({ build, root, files, count, signal, onProgress }) {
    const insert = this.#db.prepare('INSERT INTO passages (build, file, line, text) VALUES (?, ?, ?, ?)')
    /** @param {{ file: string, line: number, text: string }[]} passages */
    const storeAll = (passages) =>
      passages.map(({ file, line, text }) => Number(insert.run(build, file, line, text).lastInsertRowid))
    const store = this.#db.transaction(storeAll) // one write to the disk for a batch
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
    let [done, skipped] = [0, 0]
    for (const file of files) {
      const name = relative(root, file.path)
      const passages = await readPassages(file)
      if (!passages) skipped++
      for (let i = 0; passages && i < passages.length; i += BATCH) {
        onProgress({
          stage: 'read',
          done: done + (file.bytes * i) / passages.length,
          total,
          passages: count.passages,
          file: name
        })
        const batch = passages.slice(i, i + BATCH).map((passage) => ({ file: name, ...passage }))
        const vectors = await this.#embedder.embed(batch.map(({ text }) => text))
        signal.throwIfAborted() // what is stored after an abort, nobody would clear away
        count.passages += batch.length
        yield { vectors, ids: store(batch) }
      }
      done += file.bytes
    }
    onProgress({ stage: 'read', done, total, passages: count.passages })
    this.#db
      .prepare('UPDATE builds SET files = ?, skipped = ? WHERE id = ?')
      .run(files.length - skipped, skipped, build)
  }

  /** Opens the index that stands in its place now, and clears away the passages of all others. */
  #takeIndex() {
    const before = this.#index
    this.#index = undefined
    this.#problem = undefined
    this.#build = 0
    try {
      if (existsSync(this.#path)) this.#openIndex()
    } catch (thrown) {
      const error = /** @type {Error & Problem} */ (thrown)
      this.#problem = { code: error.code, message: error.message }
    }
    before?.close()
    if (this.#problem) return
    this.#db.prepare('DELETE FROM passages WHERE build != ?').run(this.#build)
    this.#db.prepare('DELETE FROM builds WHERE id != ?').run(this.#build)
  }

  #openIndex() {
    const index = ZgqIndex.open(this.#path)
    try {
      const builds = /** @type {any[]} */ (
        this.#db
          .prepare(
            'SELECT build AS id, min(passages.id) AS first, model FROM passages JOIN builds ON builds.id = ' +
              'build GROUP BY build'
          )
          .all()
      )
      const build = builds.find(({ first }) => index.has(first))
      if (!build) throw coded('PASSAGES_MISSING', 'The texts of the index are gone: index the folder again.')
      if (build.model !== this.#embedder.name)
        throw coded('MODEL_CHANGED', 'The index was made with another model: index the folder again.')
      this.#index = index
      this.#build = build.id
    } catch (error) {
      index.close()
      throw error
    }
  }

  #closeIndex() {
    this.#index?.close()
    this.#index = undefined
  }
}

/**
 * The one place that asks the index.
 * @param {ZgqIndex} index @param {Float32Array} query @param {number} k
 */
async function nearest(index, query, k) {
  return index.searchAsync(query, { k })
}

/** @param {string} code @param {string} message @param {unknown} [cause] */
function coded(code, message, cause) {
  return Object.assign(new Error(message, { cause }), { code })
}
