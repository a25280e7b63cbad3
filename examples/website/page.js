// The page: what is asked stands in the address, so that links and the back button work; answers are set as text, never
// as HTML.

import { offerChoices } from './choices.js'
import { connectToWorker, useThisThread } from './connect.js'
import { describeProblem } from './problems.js'

/**
 * @typedef {import('./searcher.js').Answer} Answer
 * @typedef {{ query: import('./searcher.js').Query, kind: string }} Place
 */

const FIRST_K = 10
const MOST_K = 100
const CHIPS = 6

/** @param {string} id @returns {any} */
const element = (id) => document.getElementById(id)
const results = element('results')
const count = new Intl.NumberFormat('en-US')

/** Texts of definitions that were shown, by id: what the heading says of one that others are like. */
const seen = new Map()
/** @type {string[]} */
let examples = []
/** @type {import('./connect.js').Searcher} */
let searcher
/** Ends what is under way when something else is asked. */
let current = new AbortController()
let k = FIRST_K
/** Size of the index file, where it is known. */
let indexBytes = 0

/** @returns {Place} */
function placeOf(hash = location.hash) {
  const asked = new URLSearchParams(hash.slice(1))
  const like = asked.get('like')
  const example = Number(asked.get('example') ?? 0)
  return {
    query: like !== null ? { id: like } : { example: example in examples ? example : 0 },
    kind: asked.get('kind') ?? ''
  }
}

/** @param {Place} place */
function goTo({ query, kind }) {
  const asked = new URLSearchParams('id' in query ? { like: query.id } : { example: String(query.example) })
  if (kind !== '') asked.set('kind', kind)
  const hash = `#${asked}`
  if (location.hash === hash) void show()
  else location.hash = hash
}

/** @param {number} bytes */
function sizeOf(bytes) {
  if (bytes < 1000 * 1024) return `${Math.round(bytes / 1024)} KB`
  return `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MB`
}

/** @param {number} of @param {string} noun */
const several = (of, noun) => `${count.format(of)} ${noun}${of === 1 ? '' : 's'}`

/** @param {string} before @param {string} text */
function title(before, text) {
  const quoted = document.createElement('q')
  quoted.textContent = text
  element('results-title').replaceChildren(`${before} `, quoted)
}

/** Answers what the address asks. */
async function show() {
  current.abort()
  current = new AbortController()
  const { signal } = current
  const { query, kind } = placeOf()
  element('problem').hidden = true
  for (const radio of document.getElementsByName('kind'))
    if (radio instanceof HTMLInputElement) radio.checked = radio.value === kind
  for (const chip of element('chips').children)
    chip.ariaPressed = String('example' in query && Number(chip.dataset.example) === query.example)
  if ('example' in query) {
    element('query').value = examples[query.example]
    title('Near', examples[query.example] ?? '')
  } else {
    element('query').value = ''
    title('Like', seen.get(query.id) ?? query.id)
  }
  results.ariaBusy = 'true'
  try {
    if ('id' in query && !seen.has(query.id)) {
      const text = await searcher.textOf(query.id, signal)
      if (text !== undefined) seen.set(query.id, text)
      title('Like', text ?? query.id)
    }
    showAnswer(await searcher.search({ query, k, kind }, signal))
  } catch (error) {
    if (!signal.aborted) showProblem(/** @type {Error} */ (error), show)
  } finally {
    if (!signal.aborted) results.ariaBusy = 'false'
  }
}

/** @param {Answer} answer */
function showAnswer({ found, cost, total }) {
  results.replaceChildren(
    ...found.map(({ id, text, kind, distance }) => {
      seen.set(id, text)
      const item = element('result').content.cloneNode(true)
      Object.assign(item.querySelector('li').dataset, { id, distance })
      item.querySelector('.text').textContent = text
      item.querySelector('.kind').textContent = kind
      item.querySelector('.number').textContent = distance.toFixed(3)
      item.querySelector('.track span').style.left = `${Math.max(0, Math.min(1, distance)) * 100}%`
      const like = item.querySelector('.like')
      like.setAttribute('aria-label', `More like: ${text}`)
      like.addEventListener('click', () => {
        k = FIRST_K
        goTo({ query: { id }, kind: placeOf().kind })
        scrollTo({ top: 0 })
        element('results-title').focus({ preventScroll: true })
      })
      return item
    })
  )
  performance.mark('zgq:shown')
  const { requests, bytes, rounds, elapsedMs } = cost
  element('note').textContent = found.length === 0 ? 'No definition fits. Choose another kind of word.' : ''
  element('measure').hidden = found.length === 0
  element('more').hidden = found.length < k || k >= MOST_K
  element('said').textContent = `${several(found.length, 'definition')} found`
  element('last').textContent =
    `${several(requests, 'request')} in ${several(rounds, 'round')}, ${sizeOf(bytes)}, ` +
    `${count.format(Math.round(elapsedMs))} ms`
  const of = indexBytes > 0 ? ` of an index of ${sizeOf(indexBytes)}` : ''
  element('total').textContent = `Since you came: ${several(total.requests, 'request')}, ${sizeOf(total.bytes)}${of}.`
}

/** @param {Error} error @param {() => void} repeat */
function showProblem(error, repeat) {
  const { title: what, advice, details } = describeProblem(error)
  results.replaceChildren()
  element('note').textContent = ''
  element('last').textContent = ''
  element('more').hidden = true
  element('measure').hidden = true
  element('problem-title').textContent = what
  element('problem-advice').textContent = advice
  element('problem-details').textContent = details
  element('problem').hidden = false
  element('again').onclick = repeat
  performance.mark('zgq:problem')
}

function offerExamples() {
  offerChoices(element('query'), element('choices'), {
    texts: examples,
    onChoose: (example) => {
      k = FIRST_K
      goTo({ query: { example }, kind: placeOf().kind })
    }
  })
  element('query-hint').textContent =
    `Choose one of ${examples.length} sentences. An app would turn what you type into a vector; this page has no model.`
  element('chips').prepend(
    ...examples.slice(0, CHIPS).map((text, example) => {
      const chip = document.createElement('button')
      chip.type = 'button'
      chip.textContent = text
      chip.dataset['example'] = String(example)
      chip.addEventListener('click', () => {
        k = FIRST_K
        goTo({ query: { example }, kind: placeOf().kind })
      })
      return chip
    })
  )
  element('random').addEventListener('click', () => {
    k = FIRST_K
    goTo({ query: { example: Math.floor(Math.random() * examples.length) }, kind: placeOf().kind })
  })
  element('kinds').addEventListener('change', (/** @type {{ target: HTMLInputElement }} */ { target }) => {
    goTo({ query: placeOf().query, kind: target.value })
  })
  element('more').addEventListener('click', () => {
    k = Math.min(MOST_K, k + 20)
    void show()
  })
  for (const id of ['query', 'random', 'kinds']) element(id).disabled = false
}

/** Opens the index, then shows what the address asks. */
async function start() {
  element('problem').hidden = true
  element('measure').hidden = true
  element('results-title').textContent = 'Opening the index …'
  element('note').textContent = ''
  results.ariaBusy = 'true'
  const here = new URL('.', location.href)
  const indexUrl = new URL(document.documentElement.dataset['index'] ?? '', here).href
  try {
    const isSlow = new URLSearchParams(location.search).get('thread') === 'page'
    searcher ??= isSlow ? await useThisThread() : connectToWorker()
    const opening = searcher.open({ indexUrl, vectorsUrl: new URL('examples.bin', here).href }, current.signal)
    opening.catch(() => undefined)
    if (examples.length === 0) {
      const response = await fetch('examples.json')
      if (!response.ok) throw new Error(`examples.json: the server answers ${response.status}`)
      const about = await response.json()
      examples = about.texts
      indexBytes = about.indexBytes
      offerExamples()
    }
    const { rows } = await opening
    element('about').textContent =
      `${count.format(rows)} definitions of English words, searched in your browser: the index is one file on a plain ` +
      'web server, read by range requests.'
    addEventListener('hashchange', () => {
      void show()
    })
    await show()
  } catch (error) {
    element('results-title').textContent = 'The index cannot be opened'
    results.ariaBusy = 'false'
    showProblem(/** @type {Error} */ (error), start)
  }
}

void start()
