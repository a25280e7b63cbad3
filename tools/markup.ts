// Text that is HTML or SVG, kept apart from text that is not yet: what is put into a template is escaped unless it is
// markup already.

/** HTML that is safe to write as it stands. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** Values that may stand in a template; false and undefined leave nothing. */
export type Content = Markup | string | number | false | undefined | readonly Content[]

/** Makes markup from a template: text and numbers are escaped, lists are joined. */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return new Markup(parts.map((part, i) => part + toText(contents[i])).join(''))
}

function toText(content: Content): string {
  if (content === false || content === undefined) return ''
  if (content instanceof Markup) return content.text
  if (typeof content === 'object') return content.map(toText).join('')
  return escapeText(String(content))
}

/**
 * Escapes for elements and for quoted attributes; what is not ASCII becomes a number, so that no encoding can break it.
 */
function escapeText(text: string): string {
  return text.replace(/[&<>"']|[^\t\n\x20-\x7e]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0xfffd
    // Numbers of control characters and of half characters are errors in HTML.
    const isCharacter = code >= 0x20 && !(code >= 0x7f && code <= 0x9f) && !(code >= 0xd800 && code <= 0xdfff)
    return `&#${isCharacter ? code : 0xfffd};`
  })
}

/** Puts a value into a script: no text in it can end the script. */
export function scriptValue(value: unknown): Markup {
  return new Markup(JSON.stringify(value).replaceAll('<', '\\u003c'))
}

/** A table; the first cell of each row is its heading, all cells but it stand to the right. */
export function table(head: readonly Content[], rows: readonly (readonly Content[])[]): Markup {
  const headings = head.map((cell) => html`<th scope="col">${cell}</th>`)
  const body = rows.map(
    ([first, ...rest]) => html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>\n`
  )
  return html`<div class="scroll"><table>\n<thead><tr>${headings}</tr></thead>\n<tbody>\n${body}</tbody></table></div>`
}

/** Numbers behind a chart, folded away. */
export function numbers(summary: string, content: Markup): Markup {
  return html`<details><summary>${summary}</summary>${content}</details>`
}
