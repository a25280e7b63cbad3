// Filters that were compiled lately, found again by value: an app makes its filter object anew for each search. Telling
// that two filters are spelled alike takes a small part of the time that compiling one does.

import { fieldsByName, type DeclaredField } from '../format/fields.ts'
import { isPlainObject } from '../plain-object.ts'
import { compileFilter, type CompiledFilter } from './compile-filter.ts'

/** Filters that are kept. */
const MOST_FILTERS = 512
/** Characters of a filter that is kept: $in of some thousand strings. */
const MOST_CHARACTERS = 2 ** 18
/** Deeper than any filter that compiles; a cyclic one ends here. */
const MOST_DEPTH = 64

/** Compiles filters for the declared fields of an index, and keeps the latest. */
export class FilterCache {
  readonly #fields: ReadonlyMap<string, DeclaredField>
  /** By their text, the one used last at the end. */
  readonly #compiled = new Map<string, CompiledFilter>()

  constructor(fields: readonly DeclaredField[]) {
    this.#fields = fieldsByName(fields)
  }

  /** Compiles a filter, or finds it. Throws as compileFilter does. */
  compile(filter: unknown): CompiledFilter {
    const text = textOf(filter, 0)
    if (text === undefined || text.length > MOST_CHARACTERS) return compileFilter(filter, this.#fields)
    const compiled = this.#compiled.get(text) ?? compileFilter(filter, this.#fields)
    this.#compiled.delete(text)
    this.#compiled.set(text, compiled)
    if (this.#compiled.size > MOST_FILTERS) {
      for (const oldest of this.#compiled.keys()) {
        this.#compiled.delete(oldest)
        break
      }
    }
    return compiled
  }
}

/** Spells a filter: texts are equal only for filters of one meaning. Undefined for what no filter may have in it. */
function textOf(value: unknown, depth: number): string | undefined {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
    case 'boolean':
      return String(value)
    case 'object':
      return depth === MOST_DEPTH ? undefined : textOfObject(value, depth + 1)
    default:
      return undefined
  }
}

function textOfObject(value: object, depth: number): string | undefined {
  let text = ''
  if (Array.isArray(value)) {
    // Not forEach or map, which pass over holes.
    for (let i = 0; i < value.length; i++) {
      const element = textOf(value[i], depth)
      if (element === undefined || text.length > MOST_CHARACTERS) return undefined
      text += `${element},`
    }
    return `[${text}]`
  }
  if (!isPlainObject(value) || Object.getOwnPropertySymbols(value).length > 0) return undefined
  for (const key of Object.keys(value)) {
    const element = textOf(value[key], depth)
    if (element === undefined || text.length > MOST_CHARACTERS) return undefined
    text += `${JSON.stringify(key)}:${element},`
  }
  return `{${text}}`
}
