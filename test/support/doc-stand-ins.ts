// Packages that the code blocks of docs/ import and that no test installs, as a few lines each.

import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/** Writes packages into the `node_modules` of a folder: names and their code, with `prelude` before each. */
function writePackages(folder: string, packages: Readonly<Record<string, string>>, prelude = ''): void {
  for (const [name, code] of Object.entries(packages)) {
    const place = join(folder, 'node_modules', name)
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'package.json'), JSON.stringify({ name, type: 'module', exports: './index.js' }))
    writeFileSync(join(place, 'index.js'), `${prelude}\n${code}`)
  }
}

/** LanceDB, sqlite-vec and Chroma that hold the notes of docs/moving.md; `task` is the block that makes them. */
export function writeOtherStores(folder: string, task: string): void {
  const sqlite = createRequire(import.meta.url).resolve('better-sqlite3')
  const stores = {
    '@lancedb/lancedb': `const rows = notes.map((note) => ({ ...note, vector: embed(note.body) }))
      async function* all() { yield { toArray: () => rows.map((row) => ({ toJSON: () => row })) } }
      export const connect = async () => ({ openTable: async () => ({ query: all }) })`,
    // The recipe of sqlite-vec may sit on any table: here it is a plain one.
    'sqlite-vec': `export function load() {}`,
    'better-sqlite3': `import { createRequire } from 'node:module'
      const Database = createRequire(import.meta.url)(${JSON.stringify(sqlite)})
      const db = new Database('notes.db')
      db.exec('CREATE TABLE notes (id TEXT, vector BLOB, path TEXT, size INTEGER, draft INTEGER, tags TEXT, body TEXT)')
      const insert = db.prepare('INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?, ?)')
      for (const { id, path, size, draft, tags, body } of notes)
        insert.run(id, embed(body), path, size, Number(draft), JSON.stringify(tags), body)
      export default Database`,
    chromadb: `const take = (of, { offset, limit }) => notes.slice(offset, offset + limit).map(of)
      export class ChromaClient {
        getCollection = async () => ({ get: async (page) => ({
          ids: take(({ id }) => id, page), embeddings: take(({ body }) => [...embed(body)], page),
          documents: take(({ body }) => body, page),
          metadatas: take(({ id, body, tags, ...rest }) => ({ ...rest, tags: JSON.stringify(tags) }), page)
        }) })
      }`
  }
  writePackages(folder, stores, task)
}

/** Plugins of rollup that do nothing: vite, which runs the block in their stead, has what they do built in. */
export function writeRollupPlugins(folder: string): void {
  const plugin = 'export default () => null'
  writePackages(folder, { '@rollup/plugin-node-resolve': plugin, '@rollup/plugin-commonjs': plugin })
}

/** Worker, and what is global in one, as browsers have them: for programs of Node that import this file first. */
export function writeWebWorkers(folder: string, name: string): void {
  const code = `import { isMainThread, parentPort, Worker } from 'node:worker_threads'
    const hear = (port, type, listener) => port.on(type, (data) => listener({ data }))
    globalThis.Worker = class {
      #worker
      constructor(url) { this.#worker = new Worker(url) }
      addEventListener(type, listener) { hear(this.#worker, type, listener) }
      postMessage(message) { this.#worker.postMessage(message) }
      terminate() { void this.#worker.terminate() }
    }
    if (!isMainThread) {
      globalThis.addEventListener = (type, listener) => hear(parentPort, type, listener)
      globalThis.postMessage = (message) => parentPort.postMessage(message)
    }`
  writeFileSync(join(folder, name), code)
}
