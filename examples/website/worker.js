// A Web Worker that searches, so that the page never waits: answers messages { number, method, argument } and
// { abort: number }.

import * as searcher from './searcher.js'

/** @type {Map<number, AbortController>} */
const underWay = new Map()

addEventListener('message', async ({ data }) => {
  if ('abort' in data) {
    underWay.get(data.abort)?.abort()
    return
  }
  const { number, method, argument } = data
  const controller = new AbortController()
  underWay.set(number, controller)
  try {
    const ask = /** @type {Record<string, Function>} */ (searcher)[method]
    postMessage({ number, value: await ask(argument, controller.signal) })
  } catch (error) {
    // Errors that are sent lose their code.
    const { name, code, message } = /** @type {Error & { code?: string }} */ (error)
    postMessage({ number, error: { name, code, message } })
  } finally {
    underWay.delete(number)
  }
})
