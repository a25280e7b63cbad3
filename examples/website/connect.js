// The searcher behind one function, whether it runs in a Web Worker or in the page.

/**
 * @typedef {(argument: any, signal: AbortSignal) => Promise<any>} Method
 * @typedef {{ open: Method, search: Method, textOf: Method }} Searcher
 */

/** @returns {Searcher} */
export function connectToWorker() {
  const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' })
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map()
  let last = 0

  worker.addEventListener('message', ({ data: { number, value, error } }) => {
    const { resolve, reject } = waiting.get(number) ?? {}
    waiting.delete(number)
    if (error === undefined) resolve?.(value)
    else reject?.(Object.assign(new Error(error.message), { name: error.name, code: error.code }))
  })
  worker.addEventListener('error', (event) => {
    const failure = new Error(event.message || 'worker.js does not load')
    for (const { reject } of waiting.values()) reject(failure)
    waiting.clear()
  })

  /** @param {string} method @returns {Method} */
  const ask = (method) => (argument, signal) =>
    new Promise((resolve, reject) => {
      const number = ++last
      waiting.set(number, { resolve, reject })
      signal.addEventListener('abort', () => {
        worker.postMessage({ abort: number })
      })
      worker.postMessage({ number, method, argument })
    })
  return { open: ask('open'), search: ask('search'), textOf: ask('textOf') }
}

/** Searches on the thread of the page: for comparison. @returns {Promise<Searcher>} */
export async function useThisThread() {
  return await import('./searcher.js')
}
