// The app on sqlite-vec: an exact scan.
import Database from 'better-sqlite3'
import * as sqliteVec from 'sqlite-vec'

const bytesOf = (vector) => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)

function connect(folder) {
  const db = new Database(`${folder}.sqlite`)
  sqliteVec.load(db)
  return db
}

export async function load(folder, { vectors, dim, documents }) {
  const db = connect(folder)
  db.exec(`CREATE VIRTUAL TABLE documents USING vec0(vector float[${dim}] distance_metric=cosine,
    id text, source text, line integer, +text text)`)
  const insert = db.prepare('INSERT INTO documents(vector, id, source, line, text) VALUES (?, ?, ?, ?, ?)')
  db.transaction(() => {
    documents.forEach(({ id, source, line, text }, i) => {
      insert.run(bytesOf(vectors.subarray(i * dim, (i + 1) * dim)), id, source, BigInt(line), text)
    })
  })()
  db.close()
}

export function open(folder) {
  const db = connect(folder)
  const prepare = (condition) =>
    db.prepare(
      `SELECT id, text, distance FROM documents WHERE vector MATCH ? AND k = 10 ${condition} ORDER BY distance`
    )
  const [all, bySource, byLine] = ['', 'AND source = ?', 'AND line = ?'].map(prepare)
  return {
    search: (query) => all.all(bytesOf(query)),
    bySource: (query, source) => bySource.all(bytesOf(query), source),
    byLine: (query, line) => byLine.all(bytesOf(query), BigInt(line)),
    close: () => db.close()
  }
}

export const textOf = (hit) => hit.text
