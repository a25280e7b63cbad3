// Filters that were compiled lately, found again by value: an app makes its filter object anew for each search. Telling
// that two filters are spelled alike takes a small part of the time that compiling one does.

import { fieldsByName, type DeclaredField } from '../format/fields.ts'
import { isPlainObject } from '../plain-object.ts'
import { compileFilter, type CompiledFilter } from './compile-filter.ts'

/** Filters that are kept. */
const MOST_FILTERS = 512
/** Characters of a filter that is kept: $in of some thousand strings. */
const MOST_CHARACTERS = 2 ** 18
/** Filters that are compared before they are spelled. */
const MOST_RECENT = 4
/** Deeper than any filter that compiles; a cyclic one ends here. */
const MOST_DEPTH = 64

/** Compiles filters for the declared fields of an index, and keeps the latest. */
export class FilterCache {
  readonly #fields: ReadonlyMap<string, DeclaredField>
  /** By their text, the one used last at the end. */
  readonly #compiled = new Map<string, CompiledFilter>()
  /** The latest, compared value by value: where strings are the same objects that takes a tenth of spelling them. */
  readonly #recent: { readonly copy: unknown; readonly compiled: CompiledFilter }[] = []

  constructor(fields: readonly DeclaredField[]) {
    this.#fields = fieldsByName(fields)
  }

  /** Compiles a filter, or finds it. Throws as compileFilter does. */
  compile(filter: unknown): CompiledFilter {
    const at = this.#recent.findIndex(({ copy }) => isSame(filter, copy))
    if (at >= 0) return this.#recent[at].compiled
    const text = textOf(filter, 0)
    if (text === undefined || text.length > MOST_CHARACTERS) return compileFilter(filter, this.#fields)
    const compiled = this.#compiled.get(text) ?? compileFilter(filter, this.#fields)
    this.#recent.unshift({ copy: copyOf(filter), compiled })
    if (this.#recent.length > MOST_RECENT) this.#recent.pop()
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

/** Copies a filter that was compiled: the caller may change it. */
function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return Array.from(value, copyOf)
  return new Map(Object.entries(value).map(([key, inner]) => [key, copyOf(inner)]))
}

/** Tells whether a value has no other keys and values than a copy; never for what no filter may have in it. */
function isSame(value: unknown, copy: unknown): boolean {
  if (typeof value !== 'object' || value === null) return value === copy
  if (Array.isArray(value)) {
    if (!Array.isArray(copy) || value.length !== copy.length) return false
    for (let i = 0; i < value.length; i++) if (!isSame(value[i], copy[i])) return false
    return true
  }
  if (!(copy instanceof Map) || !isPlainObject(value)) return false
  const keys = Object.keys(value)
  if (keys.length !== copy.size || Object.getOwnPropertySymbols(value).length > 0) return false
  return keys.every((key) => copy.has(key) && isSame(value[key], copy.get(key)))
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
