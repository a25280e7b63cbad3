// The process that owns the index, so that neither the window nor the main process ever waits for it. It answers
// requests { id, method, params } with { id, result } or { id, error: { code, message } }, and tells progress
// meanwhile, and when texts have changed. What it does is in library.js.

import { Library } from './library.js'
import { openPort } from './port.js'

const port = openPort()
/** @type {Library | undefined} */
let library
/** @type {AbortController | undefined} */
let building

/** @type {Record<string, (params: any) => unknown>} */
const methods = {
  /** Opens what is stored in folder `storage`; `embedder` is the module that turns texts into vectors. */
  async open({ storage, embedder = './embed.js' }) {
    library = Library.open(storage, await import(embedder), (problem) => port.post({ changed: { problem } }))
    return library.state()
  },

  state: () => expectOpen().state(),

  /** Indexes a folder of texts; the index before it answers searches until the new one is ready. */
  async index({ folder }) {
    if (building) throw Object.assign(new Error('A folder is being indexed already.'), { code: 'BUSY' })
    building = new AbortController()
    try {
      return await expectOpen().index(folder, {
        signal: building.signal,
        onProgress: (progress) => port.post({ progress })
      })
    } finally {
      building = undefined
    }
  },

  /** Ends the indexing; its own request is then answered with ABORTED. */
  cancel: () => building?.abort(),

  search: ({ text, ...options }) => expectOpen().search(text, options),

  close() {
    building?.abort()
    library?.close()
    library = undefined
  }
}

function expectOpen() {
  if (!library) throw Object.assign(new Error('Send open first.'), { code: 'NOT_OPEN' })
  return library
}

port.listen(async ({ id, method, params = {} }) => {
  try {
    port.post({ id, result: (await methods[method](params)) ?? null })
  } catch (error) {
    port.post({ id, error: describe(error) })
  }
})

/** An Error loses its code on the way to another process: plain objects do not. @param {any} error */
function describe(error) {
  if (error?.name === 'AbortError') return { code: 'ABORTED', message: 'Indexing was cancelled.' }
  return { code: String(error?.code ?? error?.name ?? 'UNKNOWN'), message: String(error?.message ?? error) }
}
