// Writes the ids file of a build (spec, section 4.1) from entries that come in their order.

import { join } from 'node:path'

import type { FileRecord } from '../format/file-record.ts'
import { HEADER } from '../format/header.ts'
import { IdPagesEncoder } from '../format/id-pages.ts'
import { dataFileName } from '../format/layout.ts'
import { completeFile, type GenerationFacts } from './data-file-writer.ts'
import { FileWriter, removeTemporary } from './file-writer.ts'

const SHARD = 0

export class IdsWriter {
  readonly #facts: GenerationFacts
  readonly #rowCount: number
  readonly #file: FileWriter
  readonly #pages: IdPagesEncoder

  /** Creates the file for `rowCount` entries, at least one, in the place of what a build that died left of it. */
  constructor(facts: GenerationFacts, rowCount: number) {
    this.#facts = facts
    this.#rowCount = rowCount
    this.#pages = new IdPagesEncoder({ indexId: facts.indexId, rowCount }, (page) => {
      this.#file.write(page)
    })
    const path = join(facts.folder, dataFileName('ids', facts.generation, SHARD))
    removeTemporary(path)
    this.#file = new FileWriter(path)
    this.#file.write(new Uint8Array(HEADER.byteLength)) // its place; the header is written last
  }

  /** Takes the next entry, four words at word `at`: hash low, hash high, row, segment. */
  add(words: Uint32Array, at: number): void {
    this.#pages.add(words, at)
  }

  /** Completes and syncs the file; returns its record. */
  finish(): FileRecord {
    this.#pages.finish()
    return completeFile(this.#file, {
      ...this.#facts,
      kind: 'ids',
      shard: SHARD,
      segmentCount: 0,
      rowCount: this.#rowCount
    })
  }

  /** Closes what is open, after a failure; idempotent. */
  close(): void {
    this.#file.close()
  }
}
