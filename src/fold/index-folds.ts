// Folds of an open index, on the caller's side: they run in a thread of their own, one at a time.

import { resolve } from 'node:path'

import { onAbort } from '../abort.ts'
import { ZgqError } from '../errors.ts'
import type { OptimizeOptions, Optimized } from '../change-types.ts'
import type { CheckedOptions } from '../open-options.ts'
import { checkOptionNames, expectFlag, expectFunction, expectSignal, expectWholeNumber } from '../options.ts'
import type { OpenIndex } from '../search/open-index.ts'
import { Thread } from '../threads/thread.ts'
import { isFoldDue } from './fold-due.ts'
import type { FoldProgress, FoldReport } from './fold-messages.ts'
import type { FoldOptions } from './fold-session.ts'

const DEFAULT_MEMORY_BYTES = 256 * 2 ** 20
const LEAST_MEMORY_BYTES = 2 ** 20
/** Memory of the thread for what it reads by places: ids and payloads. */
const CACHE_BYTES = 16 * 2 ** 20
/** After a fold that failed or found nothing to do, so many writes pass before the next one starts by itself. */
const WRITES_AFTER_FAILURE = 64
/** How long files stay that a fold replaced: readers may need them. */
const GRACE_MS = 60_000
/** They are removed so long after that. */
const CLEAN_UP_AFTER_MS = 1000

/** What a fold is asked for, if nothing else is said. */
const ASKED: Pick<FoldOptions, 'all' | 'memoryBytes' | 'isAutomatic' | 'onlyCleansUp'> = {
  all: false,
  memoryBytes: DEFAULT_MEMORY_BYTES,
  isAutomatic: false,
  onlyCleansUp: false
}

/** A fold that runs. */
interface RunningFold {
  readonly cancel: () => void
  readonly done: Promise<FoldReport | undefined>
}

export class IndexFolds {
  readonly #index: OpenIndex
  readonly #options: CheckedOptions
  readonly #folder: string
  #running: RunningFold | undefined
  #isAutomatic = false
  /** Calls of `optimize`, one after the other. */
  #last: Promise<unknown> = Promise.resolve()
  #writesToPass = 0
  readonly #graceMs: number
  #cleanUpTimer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(index: OpenIndex, options: CheckedOptions, graceMs = GRACE_MS) {
    this.#index = index
    this.#options = options
    this.#graceMs = graceMs
    this.#folder = resolve(index.snapshot.folder)
  }

  /** Rejects with the reason of the signal, ZGQ_LOCKED, ZGQ_IO, ZGQ_CLOSED, and as reads do. */
  async optimize(options: OptimizeOptions): Promise<Optimized> {
    checkOptionNames('optimize', options, ['all', 'memoryBytes', 'onProgress', 'signal'])
    const { all = false, memoryBytes = DEFAULT_MEMORY_BYTES, onProgress = () => undefined, signal } = options
    expectFlag('all', all)
    expectWholeNumber('memoryBytes', memoryBytes, { least: LEAST_MEMORY_BYTES })
    expectFunction('onProgress', onProgress)
    expectSignal('signal', signal)
    signal?.throwIfAborted()
    const turn = this.#last.then(async () => {
      signal?.throwIfAborted()
      // What runs by itself does less than what was asked for: it makes way.
      if (this.#isAutomatic) await this.#cancel()
      return await this.#run({ ...ASKED, all, memoryBytes }, { onProgress, signal })
    })
    this.#last = turn.catch(() => undefined)
    return await turn
  }

  /** Starts a fold where enough was written since the last one, and none runs. */
  afterWrite(): void {
    if (!this.#options.autoOptimize || this.#isClosed || this.#running !== undefined) return
    if (this.#writesToPass > 0) {
      this.#writesToPass--
      return
    }
    if (!isFoldDue(this.#index)) return
    this.#isAutomatic = true
    this.#run({ ...ASKED, isAutomatic: true }, {}).then(
      ({ steps }) => {
        this.#isAutomatic = false
        if (steps === 0) this.#writesToPass = WRITES_AFTER_FAILURE
        this.afterWrite() // more may have come meanwhile
      },
      () => {
        // Nobody waits for it. Others may be folding, or the disk is full: it is tried again later.
        this.#isAutomatic = false
        this.#writesToPass = WRITES_AFTER_FAILURE
      }
    )
  }

  async #run(
    of: typeof ASKED,
    { onProgress, signal }: Pick<OptimizeOptions, 'onProgress' | 'signal'>
  ): Promise<FoldReport> {
    if (this.#isClosed) throw this.#closed()
    const { mapping, verify, lockTimeoutMs, allowNetworkFileSystem } = this.#options
    const cancelled = new SharedArrayBuffer(4)
    const options: FoldOptions = {
      ...of,
      graceMs: this.#graceMs,
      folder: this.#folder,
      indexId: this.#index.snapshot.meta.indexId,
      write: { durability: 'full', lockTimeoutMs, allowNetworkFileSystem },
      // mmap-io works on the main thread only; whole segments are read once, which a mapping makes no faster.
      read: {
        mapping: mapping === 'mmap' || mapping === 'mmap-io' ? 'pread' : mapping,
        verify,
        cacheBytes: CACHE_BYTES
      }
    }
    const thread = new Thread<'fold', FoldReport | undefined, FoldProgress>('fold-worker', { options, cancelled })
    const flag = new Int32Array(cancelled)
    const cancel = (): void => {
      Atomics.store(flag, 0, 1)
    }
    let failed: { readonly error: unknown } | undefined
    const onNote = (progress: FoldProgress): void => {
      try {
        if (failed === undefined) onProgress?.(progress)
      } catch (error) {
        failed = { error }
        cancel()
      }
    }
    const running = { cancel, done: thread.call('fold', { onNote }) }
    const endWait = onAbort(signal, cancel)
    this.#running = running
    try {
      const report = await running.done
      if (report !== undefined && report.steps > 0) this.#cleanUpLater()
      if (failed !== undefined) throw failed.error
      if (report !== undefined) return report
      signal?.throwIfAborted()
      throw this.#closed()
    } finally {
      endWait()
      this.#running = undefined
      void thread.close()
      this.#see()
    }
  }

  /** Has the files removed that a fold replaced, once nobody needs them; whoever folds next does it, too. */
  #cleanUpLater(): void {
    clearTimeout(this.#cleanUpTimer)
    if (this.#isClosed) return
    this.#cleanUpTimer = setTimeout(() => {
      // After what runs: a fold that is under way makes more of them.
      this.#last = this.#last.then(async () => {
        if (this.#running !== undefined) this.#cleanUpLater()
        if (this.#isClosed || this.#running !== undefined) return
        await this.#run({ ...ASKED, onlyCleansUp: true }, {}).catch(() => undefined)
      })
    }, this.#graceMs + CLEAN_UP_AFTER_MS)
    this.#cleanUpTimer.unref()
  }

  /** Sees what was published; what is in the way of that is for the next read to say. */
  #see(): void {
    if (this.#isClosed) return
    try {
      this.#index.refresh()
    } catch {
      // A read asks again.
    }
  }

  async #cancel(): Promise<void> {
    if (this.#running === undefined) return
    this.#running.cancel()
    await this.#running.done.catch(() => undefined)
  }

  #closed(): ZgqError {
    return new ZgqError('ZGQ_CLOSED', 'the index was closed before the fold was done', { path: this.#folder })
  }

  /** What runs is cancelled, and leaves nothing half-done. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#cleanUpTimer)
    void this.#cancel()
  }
}
