// The field with example sentences: a combobox whose list narrows as the reader types.

const MOST_SHOWN = 8

/** @typedef {{ texts: readonly string[], onChoose: (example: number) => void }} Choices */

/** @param {HTMLInputElement} input @param {HTMLElement} list @param {Choices} choices */
export function offerChoices(input, list, { texts, onChoose }) {
  /** Examples that are listed. @type {number[]} */
  let listed = []
  /** Which of them is marked; -1 for none. */
  let marked = -1

  const close = () => {
    list.hidden = true
    marked = -1
    input.setAttribute('aria-expanded', 'false')
    input.removeAttribute('aria-activedescendant')
  }

  /** @param {number} at */
  const choose = (at) => {
    const example = listed[at]
    if (example === undefined) return
    input.value = texts[example] ?? ''
    close()
    onChoose(example)
  }

  /** @param {number} at */
  const mark = (at) => {
    marked = at
    for (const [i, item] of [...list.children].entries()) item.setAttribute('aria-selected', String(i === at))
    const item = list.children[at]
    if (item === undefined) input.removeAttribute('aria-activedescendant')
    else {
      input.setAttribute('aria-activedescendant', item.id)
      item.scrollIntoView({ block: 'nearest' })
    }
  }

  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean)
    listed = matching(texts, words).slice(0, MOST_SHOWN)
    list.replaceChildren(
      ...(listed.length === 0
        ? [noMatch()]
        : listed.map((example, at) => {
            const item = document.createElement('li')
            item.id = `choice-${at}`
            item.role = 'option'
            item.append(...withMarks(texts[example] ?? '', words[0] ?? ''))
            // Before the field loses the focus, which closes the list.
            item.addEventListener('pointerdown', (event) => {
              event.preventDefault()
              choose(at)
            })
            return item
          }))
    )
    list.hidden = false
    input.setAttribute('aria-expanded', 'true')
    mark(-1)
  }

  input.addEventListener('input', show)
  input.addEventListener('click', () => {
    if (!list.hidden) return
    input.select()
    show()
  })
  input.addEventListener('blur', close)
  input.addEventListener('keydown', (event) => {
    const { length } = listed
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault()
      if (list.hidden) show()
      else if (length > 0) mark((marked + (event.key === 'ArrowDown' ? 1 : marked < 0 ? 0 : -1) + length) % length)
    } else if (event.key === 'Enter' && !list.hidden) {
      event.preventDefault()
      choose(Math.max(marked, 0))
    } else if (event.key === 'Escape' && !list.hidden) {
      event.preventDefault()
      close()
    }
  })
}

/** Examples that have all the words, at the beginning of words of theirs. @param {readonly string[]} texts */
function matching(texts, /** @type {string[]} */ words) {
  const has = (/** @type {string} */ text) => words.every((word) => ` ${text.toLowerCase()}`.includes(` ${word}`))
  return texts.flatMap((text, example) => (has(text) ? [example] : []))
}

/** @param {string} text @param {string} word */
function withMarks(text, word) {
  const at = word === '' ? -1 : ` ${text.toLowerCase()}`.indexOf(` ${word}`)
  if (at < 0) return [text]
  const mark = document.createElement('mark')
  mark.textContent = text.slice(at, at + word.length)
  return [text.slice(0, at), mark, text.slice(at + word.length)]
}

function noMatch() {
  const item = document.createElement('li')
  item.role = 'option'
  item.ariaDisabled = 'true'
  item.textContent = 'No example has these words.'
  return item
}
