// An asynchronous reader over the real files that answers later, in another order than it was asked, and fails when it
// is told to. No clock: each turn of the event loop it answers some of those who wait, chosen by a seed.

import { closeSync, openSync, readSync } from 'node:fs'

import { onAbort } from '../../src/abort.ts'
import { ZgqError } from '../../src/errors.ts'
import type { AsyncReader } from '../../src/storage/async-reader.ts'
import { fileOf, type DataFiles, type FileRange } from '../../src/storage/reader.ts'
import { randomFrom } from './random.ts'

/** How a read ends: `short` and `few` return too few bytes, or bytes of too few ranges; `never` waits for an abort. */
export type Outcome = 'answer' | 'fail' | 'short' | 'few' | 'never'

interface Waiting {
  readonly ranges: readonly FileRange[]
  readonly outcome: Outcome
  readonly resolve: (parts: Uint8Array[]) => void
  readonly reject: (reason: unknown) => void
}

export class DelayedReader implements AsyncReader {
  /** How the reads to come end. */
  outcome: () => Outcome = () => 'answer'
  /** Bytes that come changed. */
  damaged: { readonly file: number; readonly offset: number } | undefined
  /** Told of each range that is read. */
  onRead: ((range: FileRange) => void) | undefined
  calls = 0
  bytesRead = 0
  /** Reads that nobody answered yet, at most. */
  mostWaiting = 0
  readonly #files: DataFiles
  readonly #random: () => number
  readonly #descriptors = new Map<number, number>()
  readonly #waiting = new Set<Waiting>()
  #isPumping = false
  #isClosed = false

  constructor(files: DataFiles, seed: number) {
    this.#files = files
    this.#random = randomFrom(seed)
  }

  /** Reads that nobody answered yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  async readAsync(ranges: readonly FileRange[], signal: AbortSignal | undefined): Promise<Uint8Array[]> {
    this.calls++
    if (this.#isClosed) throw closedError()
    signal?.throwIfAborted()
    return await new Promise((resolve, reject) => {
      const waiting: Waiting = {
        ranges: ranges.map((range) => ({ ...range })),
        outcome: this.outcome(),
        resolve(parts) {
          endWait()
          resolve(parts)
        },
        reject(reason) {
          endWait()

          reject(reason)
        }
      }
      const endWait = onAbort(signal, () => {
        this.#waiting.delete(waiting)
        waiting.reject(signal?.reason)
      })
      this.#waiting.add(waiting)
      this.mostWaiting = Math.max(this.mostWaiting, this.#waiting.size)
      this.#pump()
    })
  }

  close(): void {
    this.#isClosed = true
    for (const { reject } of this.#waiting) reject(closedError())
    this.#waiting.clear()
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor)
    this.#descriptors.clear()
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    setImmediate(() => {
      this.#isPumping = false
      const ready = [...this.#waiting].filter(({ outcome }) => outcome !== 'never')
      for (let left = Math.floor(this.#random() * 4); left > 0 && ready.length > 0; left--) {
        const [chosen] = ready.splice(Math.floor(this.#random() * ready.length), 1)
        this.#waiting.delete(chosen)
        this.#end(chosen)
      }
      if ([...this.#waiting].some(({ outcome }) => outcome !== 'never')) this.#pump()
    })
  }

  #end({ ranges, outcome, resolve, reject }: Waiting): void {
    if (outcome === 'fail') {
      reject(new ZgqError('ZGQ_IO', 'told to fail'))
      return
    }
    const parts = ranges.map((range) => this.#read(range))
    if (outcome === 'few') parts.pop()
    if (outcome === 'short') parts[parts.length - 1] = parts[parts.length - 1].subarray(1)
    resolve(parts)
  }

  #read({ file, offset, byteLength }: FileRange): Uint8Array {
    this.onRead?.({ file, offset, byteLength })
    const bytes = new Uint8Array(byteLength)
    if (readSync(this.#open(file), bytes, 0, byteLength, offset) !== byteLength)
      throw new Error(`file ${file} does not have ${byteLength} bytes at ${offset}`)
    this.bytesRead += byteLength
    const { damaged } = this
    if (damaged?.file === file && damaged.offset >= offset && damaged.offset < offset + byteLength)
      bytes[damaged.offset - offset] ^= 1
    return bytes
  }

  #open(file: number): number {
    const known = this.#descriptors.get(file)
    if (known !== undefined) return known
    const { absolutePath, path } = fileOf(this.#files, file)
    const descriptor = openSync(absolutePath ?? path, 'r')
    this.#descriptors.set(file, descriptor)
    return descriptor
  }
}

function closedError(): ZgqError {
  return new ZgqError('ZGQ_CLOSED', 'the reader was closed')
}
