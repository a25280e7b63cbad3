// How an open index changes: what writes and what folds, started at the first call that needs it.

import { expectUnpacked } from './catalogue/packed-place.ts'
import type { AddOptions, Optimized, OptimizeOptions, UpsertOptions, Written } from './change-types.ts'
import { ZgqError } from './errors.ts'
import type { IndexFolds } from './fold/index-folds.ts'
import type { CheckedOptions } from './open-options.ts'
import type { OpenIndex } from './search/open-index.ts'
import type { IndexWriter } from './write/index-writer.ts'

export class IndexChanges {
  readonly #index: OpenIndex
  readonly #options: CheckedOptions
  #writer: Promise<IndexWriter> | undefined
  #folds: Promise<IndexFolds> | undefined
  #isClosed = false

  constructor(index: OpenIndex, options: CheckedOptions) {
    this.#index = index
    this.#options = options
  }

  add(rows: unknown, options: AddOptions): Promise<Written> {
    return this.#write((writer) => writer.add(rows, options))
  }

  upsert(rows: unknown, options: UpsertOptions): Promise<Written> {
    return this.#write((writer) => writer.upsert(rows, options))
  }

  update(rows: unknown, values: unknown): Promise<number> {
    return this.#write((writer) => writer.update(rows, values))
  }

  delete(rows: unknown): Promise<number> {
    return this.#write((writer) => writer.delete(rows))
  }

  async optimize(options: OptimizeOptions): Promise<Optimized> {
    this.#expectWriting()
    const folds = await this.#startFolds()
    this.#expectOpen()
    return await folds.optimize(options)
  }

  async #write<T>(work: (writer: IndexWriter) => Promise<T>): Promise<T> {
    const writer = await this.#startWriter()
    const result = await work(writer)
    if (this.#options.autoOptimize && !this.#isClosed) this.#foldIfDue()
    return result
  }

  async #startWriter(): Promise<IndexWriter> {
    this.#expectWriting()
    const start = (): Promise<IndexWriter> =>
      import('./write/index-writer.ts').then((module) => new module.IndexWriter(this.#index, this.#options))
    const begun = (this.#writer ??= start())
    let writer: IndexWriter | undefined
    try {
      writer = await begun
    } finally {
      // What failed, or whose thread has died, is begun anew by the next call.
      if (this.#writer === begun && writer?.isAlive !== true) this.#writer = undefined
    }
    this.#expectOpen()
    return writer.isAlive ? writer : await this.#startWriter()
  }

  /** The write is done: what is in the way of a fold is no fault of it. */
  #foldIfDue(): void {
    this.#startFolds().then(
      (folds) => {
        folds.afterWrite()
      },
      () => undefined
    )
  }

  #startFolds(): Promise<IndexFolds> {
    this.#folds ??= import('./fold/index-folds.ts').then((module) => new module.IndexFolds(this.#index, this.#options))
    return this.#folds
  }

  #expectWriting(): void {
    this.#expectOpen()
    expectUnpacked(this.#index.snapshot)
    if (this.#options.mode === 'write') return
    throw new ZgqError('ZGQ_READ_ONLY', "the index was opened for reading: open it with { mode: 'write' }", {
      path: this.#index.snapshot.folder
    })
  }

  #expectOpen(): void {
    if (this.#isClosed) throw new ZgqError('ZGQ_CLOSED', 'the index was closed', { path: this.#index.snapshot.folder })
  }

  /** What waits rejects with ZGQ_CLOSED. A second call does nothing. */
  close(): void {
    this.#isClosed = true
    void this.#folds?.then(
      (folds) => {
        folds.close()
      },
      () => undefined // whoever asked for a fold was told
    )
    void this.#writer?.then(
      (writer) => {
        writer.close()
      },
      () => undefined // whoever began it was told
    )
  }
}
