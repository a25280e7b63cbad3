// What the page asks of ZGQ. It runs in a Web Worker (worker.js), or in the page itself for comparison.

import { openRemote } from 'zgq/remote'

/**
 * @typedef {{ text: string, kind: string }} Definition
 * @typedef {Definition & { id: string, distance: number }} Found
 * @typedef {{ requests: number, bytes: number }} Traffic
 * @typedef {Traffic & { rounds: number, elapsedMs: number }} Cost
 * @typedef {{ found: Found[], cost: Cost, total: Traffic }} Answer
 * @typedef {{ example: number } | { id: string }} Query
 * @typedef {{ query: Query, k: number, kind: string }} Question
 */

/** All that was read since the page was opened. @type {Traffic} */
const total = { requests: 0, bytes: 0 }
/** @type {import('zgq/remote').RemoteIndex<string, Definition> | undefined} */
let index
/** One signed byte a value: the length of a vector means nothing for the cosine. @type {Promise<Int8Array> | undefined} */
let vectors
let vectorsUrl = ''

/** Fetches, and counts what it costs. @type {typeof fetch} */
async function countingFetch(input, options) {
  const response = await fetch(input, options)
  total.requests++
  total.bytes += Number(response.headers.get('content-length') ?? 0)
  return response
}

/**
 * Opens the index. After a failure it may be called again.
 * @param {{ indexUrl: string, vectorsUrl: string }} urls
 * @param {AbortSignal} signal
 */
export async function open(urls, signal) {
  vectorsUrl = urls.vectorsUrl
  void keepVectors().catch(() => undefined) // meanwhile; a failure is told to who asks for them
  index ??= await openRemote(urls.indexUrl, { fetch: countingFetch, signal })
  return { rows: index.info().count }
}

/** @param {Question} question @param {AbortSignal} signal @returns {Promise<Answer>} */
export async function search({ query, k, kind }, signal) {
  const opened = opening()
  const startedAt = performance.now()
  const { hits, explain } = await opened.search('id' in query ? query : await vectorOf(query.example), {
    k,
    payload: true,
    explain: true,
    signal,
    ...(kind === '' ? {} : { filter: { kind } })
  })
  const found = hits.map(({ id, distance, payload: { text, kind } = { text: '', kind: '' } }) => ({
    id,
    distance,
    text,
    kind
  }))
  return { found, cost: { ...explain.network, elapsedMs: performance.now() - startedAt }, total: { ...total } }
}

/** The text of a definition, for a link that has its id alone. @param {string} id @param {AbortSignal} signal */
export async function textOf(id, signal) {
  const row = await opening().document(id, { signal })
  return row?.payload?.text
}

function opening() {
  if (index === undefined) throw new Error('open the index first')
  return index
}

/** Loads them once; a failure is not kept. */
async function keepVectors() {
  vectors ??= loadVectors()
  try {
    return await vectors
  } catch (error) {
    vectors = undefined
    throw error
  }
}

async function loadVectors() {
  const response = await countingFetch(vectorsUrl)
  if (!response.ok) throw new Error(`${vectorsUrl} answers ${response.status}`)
  return new Int8Array(await response.arrayBuffer())
}

/** @param {number} example */
async function vectorOf(example) {
  const { dim } = opening().info()
  return Float32Array.from((await keepVectors()).subarray(example * dim, (example + 1) * dim))
}
