// The page: asks window.texts (preload.cjs) and shows what it answers. Texts of files are only ever set as text, never
// as HTML.

/**
 * @typedef {{ file: string, line: number, text: string, modified: number, similarity: number }} Found
 * @typedef {{ folder: string, files: number, skipped: number, passages: number, folders: string[] }} Indexed
 */

const texts = /** @type {any} */ (window).texts
const TYPING_PAUSE_MS = 180
const DAY_MS = 24 * 60 * 60 * 1000

/** @param {string} id @returns {any} */
const element = (id) => document.getElementById(id)
const query = element('query')
const results = element('results')

/** @type {Indexed | undefined} */
let indexed
/** @type {string | undefined} */
let folder
let isIndexing = false
let lastSearch = 0
/** The text whose results are shown. */
let shown = ''

/** Unwraps an answer; returns undefined for an error, which it shows. @param {Promise<any>} answering */
async function ask(answering) {
  const { value, error } = await answering
  showError(error)
  return value
}

/** @param {{ code: string, message: string } | undefined} error */
function showError(error) {
  element('error').hidden = !error || error.code === 'ABORTED'
  element('error').textContent = error?.message ?? ''
  element('error').title = error?.code ?? ''
}

function showState() {
  const isEmpty = indexed === undefined && !isIndexing
  element('welcome').hidden = !isEmpty
  element('choose').hidden = isEmpty || isIndexing
  element('again').hidden = isIndexing || folder === undefined
  element('progress').hidden = !isIndexing
  element('folder').textContent = element('folder').title = indexed ? describe(indexed) : (folder ?? '')
  query.disabled = !indexed
  showFolders()
  showHint()
}

/** Offers the folders that the index has; what was chosen stays chosen. */
function showFolders() {
  element('filters').hidden = !indexed
  const select = element('in-folder')
  const chosen = select.value
  const names = ['', ...(indexed?.folders ?? []).filter((name) => name !== '')]
  select.replaceChildren(...names.map((name) => new Option(name === '' ? 'all folders' : name, name)))
  select.value = names.includes(chosen) ? chosen : ''
}

/** What the selects leave of the texts. */
function chosenFilter() {
  const days = Number(element('since').value)
  return { folder: element('in-folder').value, ...(days > 0 ? { since: Date.now() - days * DAY_MS } : {}) }
}

function showHint() {
  const hint = element('hint')
  if (indexed === undefined) hint.textContent = isIndexing ? 'As soon as all texts are read, you can search them.' : ''
  else hint.textContent = shown === '' ? 'Ask a question, or describe what you remember of a text.' : 'Nothing found.'
  hint.hidden = hint.textContent === '' || results.childElementCount > 0 || !element('error').hidden
}

/** @param {Indexed} state */
function describe({ folder, files, skipped, passages }) {
  return (
    `${count(passages, 'passage')} from ${count(files, 'file')} in ` +
    `${folder}${skipped > 0 ? ` (${count(skipped, 'file')} left out: no text)` : ''}`
  )
}
/** @param {number} number @param {string} word */
const count = (number, word) => `${number.toLocaleString('en')} ${word}${number === 1 ? '' : 's'}`

async function chooseAndIndex() {
  const chosen = await ask(texts.chooseFolder())
  if (chosen === undefined) return
  folder = chosen
  await indexFolder()
}

async function indexFolder() {
  isIndexing = true
  showProgress({ stage: 'read', done: 0, total: 0, passages: 0 })
  showState()
  const state = await ask(texts.index())
  isIndexing = false
  if (state) indexed = state.indexed
  folder = indexed?.folder ?? folder
  if (state) await search()
  showState()
  if (indexed) query.focus()
  else element('welcome-choose').focus()
}

/** @param {{ stage: string, done: number, total: number, passages: number, file?: string }} progress */
function showProgress({ stage, done, total, passages, file }) {
  const bar = element('progress-bar')
  const isMeasured = stage === 'read' && total > 0
  if (isMeasured) bar.value = done / total
  else bar.removeAttribute('value')
  element('progress-text').textContent =
    stage === 'build'
      ? `Building the index of ${count(passages, 'passage')}`
      : file === undefined
        ? 'Looking for texts'
        : `Reading ${file} (${count(passages, 'passage')} so far)`
}

async function search() {
  const text = query.value.trim()
  const mine = ++lastSearch
  const found =
    text === '' || !indexed
      ? []
      : await texts
          .search(text, chosenFilter())
          .then((/** @type {any} */ answer) => (mine === lastSearch ? ask(answer) : []))
  if (mine !== lastSearch) return // somebody typed on
  shown = text
  results.replaceChildren(...(found ?? []).map((/** @type {Found} */ hit) => resultOf(hit, text)))
  element('count').textContent = text === '' || found === undefined ? '' : count(found.length, 'result')
  showHint()
}

/** @param {Found} hit @param {string} text */
function resultOf({ file, line, text: passage, modified, similarity }, text) {
  const item = element('result').content.cloneNode(true)
  item.querySelector('h2').textContent = file
  item.querySelector('.line').textContent = `line ${line}, ${new Date(modified).toLocaleDateString()}`
  item.querySelector('meter').value = Math.max(0, similarity)
  item.querySelector('meter').title = `similarity ${similarity.toFixed(2)}`
  item.querySelector('.text').append(...marked(passage, text))
  return item
}

/** Marks the words of the query that stand in the passage. @param {string} passage @param {string} text */
function marked(passage, text) {
  const words = text.match(/[\p{L}\p{N}]{4,}/gu) ?? []
  if (words.length === 0) return [passage]
  const parts = passage.split(new RegExp(`(?<![\\p{L}\\p{N}])(${words.join('|')})(?![\\p{L}\\p{N}])`, 'giu'))
  return parts.map((part, i) => {
    if (i % 2 === 0) return part
    const mark = document.createElement('mark')
    mark.textContent = part
    return mark
  })
}

/** "/" goes to the search, the arrows through the results, Escape back and then clears. @param {KeyboardEvent} event */
function onKey(event) {
  const articles = [...document.querySelectorAll('article')]
  const at = articles.indexOf(/** @type {HTMLElement} */ (document.activeElement))
  const isTyping = document.activeElement === query
  if (event.key === '/' && !isTyping) query.focus()
  else if (event.key === 'ArrowDown' && (isTyping || at >= 0)) articles[Math.min(at + 1, articles.length - 1)]?.focus()
  else if (event.key === 'ArrowUp' && at >= 0) (at === 0 ? query : articles[at - 1]).focus()
  else if (event.key === 'Escape' && !isTyping) query.focus()
  else if (event.key === 'Escape') {
    query.value = ''
    void search()
  } else return
  event.preventDefault()
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing
query.addEventListener('input', () => {
  clearTimeout(typing)
  typing = setTimeout(search, TYPING_PAUSE_MS)
})
element('search').addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault()
  clearTimeout(typing)
  void search()
})
for (const id of ['in-folder', 'since']) element(id).addEventListener('change', search)
element('choose').addEventListener('click', chooseAndIndex)
element('welcome-choose').addEventListener('click', chooseAndIndex)
element('again').addEventListener('click', indexFolder)
element('cancel').addEventListener('click', () => ask(texts.cancel()))
document.addEventListener('keydown', onKey)
texts.onProgress(showProgress)
texts.onChanged(takeChanges)

/** Texts were saved or removed, here or by another window. @param {{ problem?: { code: string, message: string } }} of */
async function takeChanges({ problem }) {
  if (problem) return showError(problem)
  const state = await ask(texts.state())
  if (isIndexing || !state) return
  indexed = state.indexed
  folder = state.folder
  await search()
  showState()
}

async function start() {
  const state = await ask(texts.state())
  indexed = state?.indexed
  folder = state?.folder
  showError(state?.problem)
  showState()
  if (indexed) query.focus()
  else element('welcome-choose').focus()
}

void start()
