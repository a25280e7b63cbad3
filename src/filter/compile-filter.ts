// From a caller's filter to a predicate: every name, operator and operand is checked against the declared fields, and a
// complaint says where in the filter it is. What operators mean is MongoDB's where MongoDB has them.

import { countOf, describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { LONE_SURROGATE, type DeclaredField } from '../format/fields.ts'
import { isPlainObject } from '../plain-object.ts'
import type { FieldType, Filter, FilterOperand, FilterOperators } from '../types.ts'
import { allOf, anyOf, not } from './combine.ts'
import { exists } from './conditions.ts'
import { fieldsOf, NONE, type Predicate } from './predicate.ts'
import { hasText, inRange, isOneOf } from './typed-conditions.ts'

/** Operators that nest, within each other. */
const MOST_DEPTH = 16
/** Operands of all operators together. */
const MOST_VALUES = 10_000
/** Names of fields that a message lists. */
const MOST_NAMES = 20

type Comparing = keyof FilterOperators
const COMBINING: readonly (keyof Filter)[] = ['$and', '$or', '$nor', '$not']
const COMPARING: readonly Comparing[] = [
  '$eq',
  '$ne',
  '$gt',
  '$gte',
  '$lt',
  '$lte',
  '$in',
  '$nin',
  '$all',
  '$exists',
  '$not',
  '$startsWith',
  '$contains'
]

/** Operators that fields of some types do not have. */
const REFUSED: Readonly<Record<FieldType, readonly Comparing[]>> = {
  boolean: ['$gt', '$gte', '$lt', '$lte', '$all', '$startsWith', '$contains'],
  number: ['$startsWith', '$contains'],
  string: [],
  'string[]': []
}

/** A filter that was checked, in the form that rows are matched with. */
export interface CompiledFilter {
  readonly predicate: Predicate
  /** Equal for filters of equal meaning, as far as their structure shows it; of one index. */
  readonly key: string
  /** Numbers of the fields that must be read, ascending. */
  readonly fields: readonly number[]
}

/** Where in a filter something stands. */
interface Place {
  readonly path: string
  /** Operators around it that nest. */
  readonly depth: number
}

interface FieldPlace extends Place {
  readonly field: DeclaredField
}

/**
 * Checks and compiles a filter; `fields` are those declared, by name. Throws TypeError for what is not an object,
 * ZGQ_FILTER for what is wrong inside.
 */
export function compileFilter(filter: unknown, fields: ReadonlyMap<string, DeclaredField>): CompiledFilter {
  if (!isPlainObject(filter)) throw new TypeError(`filter must be an object, found ${describe(filter)}`)
  const predicate = new FilterCompiler(fields).filter(filter, { path: '', depth: 0 })
  return { predicate, key: predicate.key, fields: fieldsOf(predicate) }
}

class FilterCompiler {
  readonly #fields: ReadonlyMap<string, DeclaredField>
  #values = 0

  constructor(fields: ReadonlyMap<string, DeclaredField>) {
    this.#fields = fields
  }

  filter(value: unknown, at: Place): Predicate {
    if (!isPlainObject(value)) throw fault(at, `expected a filter, found ${describe(value)}`)
    const entries = entriesOf(value, at)
    // An empty filter is no value, but counts as one: else there could be any number of them.
    if (entries.length === 0) this.#count(1, at)
    return allOf(
      entries.map(([name, operand]) => {
        const place = { ...at, path: join(at.path, name) }
        return name.startsWith('$') ? this.#combined(name, operand, place) : this.#onField(name, operand, place)
      })
    )
  }

  #combined(operator: string, operand: unknown, at: Place): Predicate {
    const inner = deeper(at)
    switch (operator) {
      case '$and':
        return allOf(this.#filters(operand, inner))
      case '$or':
        return anyOf(this.#filters(operand, inner))
      case '$nor':
        return not(anyOf(this.#filters(operand, inner)))
      case '$not':
        return not(this.filter(operand, inner))
      default:
        throw fault(at, `unknown operator; beside fields there are ${COMBINING.join(', ')}`)
    }
  }

  #filters(value: unknown, at: Place): Predicate[] {
    if (!Array.isArray(value)) throw fault(at, `expected an array of filters, found ${describe(value)}`)
    if (value.length === 0) throw fault(at, 'expected at least one filter, found none')
    return Array.from(value, (filter: unknown, i) => this.filter(filter, { ...at, path: `${at.path}[${i}]` }))
  }

  #onField(name: string, operand: unknown, at: Place): Predicate {
    const field = this.#fields.get(name)
    if (field === undefined) {
      const known = [...this.#fields.keys()].slice(0, MOST_NAMES).join(', ')
      throw fault(at, `unknown field; declared are ${known === '' ? 'none' : known}`)
    }
    return isPlainObject(operand)
      ? this.#compared(operand, { ...at, field })
      : this.#condition('$eq', operand, { ...at, field })
  }

  /** Conditions on a field that must hold together: { $gt: 1, $lt: 5 }. */
  #compared(operators: Readonly<Record<string, unknown>>, at: FieldPlace): Predicate {
    const entries = entriesOf(operators, at)
    if (entries.length === 0) throw fault(at, 'expected at least one operator, found none')
    return allOf(
      entries.map(([name, operand]) => {
        const place = { ...at, path: join(at.path, name) }
        const operator = COMPARING.find((known) => known === name)
        if (operator === undefined) throw fault(place, `unknown operator; fields have ${COMPARING.join(', ')}`)
        const { type } = at.field
        if (REFUSED[type].includes(operator)) throw fault(place, `a field of type ${type} has no ${operator}`)
        return this.#condition(operator, operand, place)
      })
    )
  }

  #condition(operator: Comparing, operand: unknown, at: FieldPlace): Predicate {
    const { field } = at
    switch (operator) {
      case '$eq':
        return isOneOf(field, [this.#operand(operand, at)])
      case '$ne':
        return not(isOneOf(field, [this.#operand(operand, at)]))
      case '$in':
        return isOneOf(field, this.#operands(operand, at))
      case '$nin':
        return not(isOneOf(field, this.#operands(operand, at)))
      case '$all': {
        const operands = this.#operands(operand, at)
        // As in MongoDB: no row has all of no values.
        return operands.length === 0 ? NONE : allOf(operands.map((value) => isOneOf(field, [value])))
      }
      case '$not':
        if (!isPlainObject(operand)) throw fault(at, `expected operators, found ${describe(operand)}`)
        return not(this.#compared(operand, { ...deeper(at), field }))
      case '$exists':
        this.#count(1, at)
        return expectBoolean(operand, at) ? exists(field.number) : not(exists(field.number))
      case '$startsWith':
      case '$contains':
        this.#count(1, at)
        return hasText(field, operator, expectString(operand, at))
      default:
        this.#count(1, at)
        return inRange(field, operator, field.type === 'number' ? expectNumber(operand, at) : expectString(operand, at))
    }
  }

  /** Takes a value that a field is compared with for equality. */
  #operand(value: unknown, at: FieldPlace): FilterOperand {
    this.#count(1, at)
    return expectOperand(value, at)
  }

  #operands(value: unknown, at: FieldPlace): FilterOperand[] {
    if (!Array.isArray(value)) throw fault(at, `expected an array of values, found ${describe(value)}`)
    // Before any of them is looked at. No values count as one: else there could be any number of empty lists.
    this.#count(Math.max(1, value.length), at)
    return Array.from(value, (operand: unknown, i) => expectOperand(operand, at, i))
  }

  #count(values: number, at: Place): void {
    this.#values += values
    if (this.#values > MOST_VALUES) throw fault(at, `the filter has more than ${countOf(MOST_VALUES, 'value')}`)
  }
}

/** Own entries; a symbol among the keys is an operator of another library, and must not be passed over. */
function entriesOf(value: Readonly<Record<string, unknown>>, at: Place): [string, unknown][] {
  if (Object.getOwnPropertySymbols(value).length > 0) throw fault(at, 'expected no symbols as keys, found some')
  return Object.entries(value)
}

function deeper({ path, depth }: Place): Place {
  if (depth === MOST_DEPTH) throw fault({ path, depth }, `operators are nested more than ${MOST_DEPTH} deep`)
  return { path, depth: depth + 1 }
}

/** Takes a value of the type of a field, or null; i: its place in a list. */
function expectOperand(value: unknown, at: FieldPlace, i?: number): FilterOperand {
  if (value === null) return null
  const { type } = at.field
  if (type === 'number') return expectNumber(value, at, i)
  return type === 'boolean' ? expectBoolean(value, at, i) : expectString(value, at, i)
}

function expectNumber(value: unknown, at: Place, i?: number): number {
  if (typeof value !== 'number' || Number.isNaN(value)) throw mistyped('a number', value, placeOf(at, i))
  return value
}

function expectBoolean(value: unknown, at: Place, i?: number): boolean {
  if (typeof value !== 'boolean') throw mistyped('true or false', value, placeOf(at, i))
  return value
}

function expectString(value: unknown, at: Place, i?: number): string {
  if (typeof value !== 'string') throw mistyped('a string', value, placeOf(at, i))
  // It would become U+FFFD, and find that.
  if (LONE_SURROGATE.test(value)) throw fault(placeOf(at, i), `a lone surrogate in ${describe(value)}`)
  return value
}

function mistyped(expected: string, value: unknown, at: Place): ZgqError {
  const hint = Array.isArray(value) ? '; lists are for $in, $nin and $all' : ''
  return fault(at, `expected ${expected}, found ${describe(value)}${hint}`)
}

function placeOf(at: Place, i: number | undefined): Place {
  return i === undefined ? at : { ...at, path: `${at.path}[${i}]` }
}

/** Adds a name to a path; one that would be misread there is quoted, a long one shortened. */
function join(path: string, name: string): string {
  if (!/^[^\s.[\]"]{1,80}$/.test(name)) return `${path}[${describe(name)}]`
  return path === '' ? name : `${path}.${name}`
}

function fault({ path }: Place, message: string): ZgqError {
  return new ZgqError('ZGQ_FILTER', path === '' ? `filter: ${message}` : `filter at ${path}: ${message}`)
}
