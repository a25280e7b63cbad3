// The other end of index-worker.js: requests and their answers as promises. Starts the process when it is first needed,
// and again after it has ended.

/**
 * @typedef {object} Child what utilityProcess.fork returns; a process of child_process.fork needs `postMessage`
 * @property {(message: unknown) => void} postMessage
 * @property {(event: any, listener: (...values: any[]) => void) => unknown} on `message` and `exit`
 * @property {() => unknown} kill
 */

export class WorkerClient {
  #start
  #opening
  #onProgress
  #onChanged
  /** The process, once it has opened the library. @type {Promise<Child> | undefined} */
  #opened
  /** @type {Child | undefined} */
  #child
  #nextId = 1
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map()

  /**
   * @param {{ start: () => Child, opening: { storage: string, embedder?: string }, onProgress?: (progress:
   * import('./library.js').Progress) => void, onChanged?: (changed: { problem?: import('./library.js').Problem }) =>
   * void }} parts `onChanged`: texts that were saved can be found, or there is a problem with them
   */
  constructor({ start, opening, onProgress = () => undefined, onChanged = () => undefined }) {
    this.#start = start
    this.#opening = opening
    this.#onProgress = onProgress
    this.#onChanged = onChanged
  }

  /**
   * Sends a request; rejects with an Error that has a `code`: that of the worker's error, or WORKER_GONE.
   * @param {string} method @param {object} [params]
   * @returns {Promise<any>}
   */
  async request(method, params) {
    this.#opened ??= this.#open()
    return this.#send(await this.#opened, method, params)
  }

  /** Ends the process, whatever it does: a build that was not published leaves the old index as it was. */
  stop() {
    this.#child?.kill()
  }

  async #open() {
    const child = this.#start()
    this.#child = child
    child.on('message', (message) => this.#receive(message))
    child.on('exit', (exitCode, signal) => this.#forget(exitCode ?? signal))
    try {
      await this.#send(child, 'open', this.#opening)
    } catch (error) {
      child.kill()
      throw error
    }
    return child
  }

  /** @param {Child} child @param {string} method @param {object} [params] */
  #send(child, method, params) {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#waiting.set(id, { resolve, reject })
      child.postMessage({ id, method, params })
    })
  }

  /**
   * @param {{ id: number, result?: unknown, error?: { code: string, message: string }, progress?: any, changed?: any }}
   * message
   */
  #receive({ id, result, error, progress, changed }) {
    if (changed) return this.#onChanged(changed)
    if (progress) return this.#onProgress(progress)
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error) waiting?.reject(Object.assign(new Error(error.message), { code: error.code }))
    else waiting?.resolve(result)
  }

  /**
   * The process ended: nobody answers any more, and the next request starts another. @param {number | string} reason
   */
  #forget(reason) {
    this.#opened = undefined
    this.#child = undefined
    for (const { reject } of this.#waiting.values())
      reject(Object.assign(new Error(`The index process ended (${reason}).`), { code: 'WORKER_GONE' }))
    this.#waiting.clear()
  }
}
