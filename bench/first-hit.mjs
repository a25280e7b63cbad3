// Opens an index and searches it once, in a process of its own; prints when that was done. Plain JavaScript without
// imports: a loader for TypeScript, or a module of the benchmarks, would be in the times.

const firstLineAt = performance.now()
const { entry, folder, query, tiny } = JSON.parse(process.argv[2])
const { ZgqIndex } = await import(entry)
const importedAt = performance.now()
const vector = Float32Array.from(query)
if (tiny !== undefined) {
  // Modules loaded: a small index first, which loads the driver of SQLite and the kernel.
  const index = ZgqIndex.open(tiny)
  index.search(vector, { k: 10 })
  index.close()
}
const startedAt = performance.now()
const index = ZgqIndex.open(folder)
const openedAt = performance.now()
const hits = index.search(vector, { k: 10 })
const foundAt = performance.now()
const { zones, reader, sqlite } = index.info()
index.close()
if (hits.length !== 10) throw new Error(`${folder}: ${hits.length} hits, expected 10`)
const result = {
  /** From the start of the process. */
  nodeMs: firstLineAt,
  importMs: importedAt - firstLineAt,
  openMs: openedAt - startedAt,
  searchMs: foundAt - openedAt,
  /** From the first line where nothing was loaded before, else from open. */
  totalMs: foundAt - (tiny === undefined ? firstLineAt : startedAt),
  zones,
  reader: reader.kind,
  sqlite: `${sqlite.driver} ${sqlite.version}`
}
process.stdout.write(JSON.stringify(result))
