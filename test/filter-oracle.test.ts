// Filters on random documents against mingo, which has MongoDB's meaning of its operators. Ours are said in its terms:
// $startsWith and $contains by regular expressions, $not of a filter by $nor.

import fc from 'fast-check'
import { Query } from 'mingo'
import { expect, it } from 'vitest'

import type { FieldType, FieldValue } from '../src/types.ts'
import { FieldSegment, type Row } from './support/field-segment.ts'
import { step } from './support/torture.ts'

const SEED = Number(process.env['ZGQ_SEED'] ?? 1300)
const RUNS = step(2000, 50_000)

/** Names that are harmless here and are not in most libraries; the oracle knows them by other names. */
const FIELDS: readonly { readonly name: string; readonly alias: string; readonly type: FieldType }[] = [
  { name: '__proto__', alias: 'n1', type: 'number' },
  { name: 'a.b', alias: 'n2', type: 'number' },
  { name: 'constructor', alias: 's1', type: 'string' },
  { name: 'plain', alias: 's2', type: 'string' },
  { name: 'hasOwnProperty', alias: 'b1', type: 'boolean' },
  { name: '7', alias: 'l1', type: 'string[]' },
  { name: 'tags', alias: 'l2', type: 'string[]' }
]
const ALIASES = new Map(FIELDS.map(({ name, alias }) => [name, alias]))
const DECLARED = withAnyKeys(FIELDS.map(({ name, type }) => [name, type]))

/** An object with keys of its own, whatever they are called. */
function withAnyKeys<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  const object: Record<string, T> = {}
  for (const [key, value] of entries)
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  return object
}

// Few distinct values, so that conditions are met. UTF-16 puts U+1F600 before U+FF5E, UTF-8 behind it.
const TEXTS = ['', 'a', 'ab', 'abc', 'b', 'a\0', 'a\n', 'A', '\u00e9', 'e\u0301', '\u{1f600}', '\uff5e', '\u{1f600}a']
const NUMBERS = [0, -0, 1, -1, 0.1, 2 ** 53, -(2 ** 53), 1e308, 5e-324, Infinity, -Infinity, 1 + Number.EPSILON]
const text = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...TEXTS) },
  fc.string({ unit: 'grapheme', maxLength: 3 })
)
const number = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...NUMBERS) },
  fc.double({ noNaN: true }),
  fc.integer({ min: -3, max: 3 })
)
const elementOf = { number, boolean: fc.boolean(), string: text, 'string[]': text }
const valueOf: Readonly<Record<FieldType, fc.Arbitrary<FieldValue>>> = {
  ...elementOf,
  'string[]': fc.array(text, { maxLength: 4 })
}

const row: fc.Arbitrary<Row> = fc
  .tuple(
    ...FIELDS.map(({ type }) =>
      fc.oneof(
        { weight: 4, arbitrary: valueOf[type] },
        { weight: 1, arbitrary: fc.constant(null) },
        { weight: 1, arbitrary: fc.constant(undefined) }
      )
    )
  )
  .map((values) =>
    withAnyKeys(FIELDS.flatMap(({ name }, i) => (values[i] === undefined ? [] : [[name, values[i]] as const])))
  )

function operatorsOf(type: FieldType): fc.Arbitrary<Record<string, unknown>> {
  const element = elementOf[type]
  const operand = fc.oneof({ weight: 5, arbitrary: element }, { weight: 1, arbitrary: fc.constant(null) })
  const list = fc.array(operand, { maxLength: 5 })
  const ranges = { $gt: element, $gte: element, $lt: element, $lte: element }
  const equality = { $eq: operand, $ne: operand, $in: list, $nin: list, $exists: fc.boolean() }
  const model = {
    ...equality,
    ...(type === 'boolean' ? {} : ranges),
    ...(type === 'string' || type === 'string[]' ? { $startsWith: text, $contains: text } : {}),
    // mingo has it for lists only, and knows no null in them.
    ...(type === 'string[]' ? { $all: fc.array(text, { maxLength: 3 }) } : {})
  }
  const names = Object.keys(model)
  const some = fc.subarray(names, { minLength: 1, maxLength: 2 })
  const arbitraries: Readonly<Record<string, fc.Arbitrary<unknown>>> = model
  return fc.letrec<{ operators: Record<string, unknown> }>((tie) => ({
    operators: fc.oneof(
      { maxDepth: 2 },
      some.chain((chosen) => fc.record(Object.fromEntries(chosen.map((name) => [name, arbitraries[name]])))),
      fc.record({ $not: tie('operators') })
    )
  })).operators
}

const condition = fc
  .constantFrom(...FIELDS)
  .chain(({ name, type }) =>
    fc
      .oneof(elementOf[type], fc.constant(null), operatorsOf(type))
      .map((value): Record<string, unknown> => withAnyKeys([[name, value]]))
  )

const { filter } = fc.letrec<{ filter: Record<string, unknown> }>((tie) => {
  const filters = fc.array(tie('filter'), { minLength: 1, maxLength: 3 })
  return {
    filter: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      condition,
      fc
        .tuple(condition, condition)
        .map(([left, right]) => withAnyKeys(Object.entries({ ...left }).concat(Object.entries(right)))),
      fc.constant({}),
      fc.record({ $and: filters }),
      fc.record({ $or: filters }),
      fc.record({ $nor: filters }),
      fc.record({ $not: tie('filter') })
    )
  }
})

/** A text as its UTF-8 bytes, a character each: the oracle then has our order. */
function bytesOf(value: string): string {
  return Buffer.from(value).toString('latin1')
}

function escape(value: string): string {
  return bytesOf(value).replace(/[^a-z]/gi, (found) => `\\x${found.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** Says a value or an operand in the oracle's terms. */
function valueForOracle(value: unknown): unknown {
  if (typeof value === 'string') return bytesOf(value)
  // By value, as in MongoDB; mingo tells -0 from 0 in places.
  if (typeof value === 'number') return value + 0
  return Array.isArray(value) ? value.map(valueForOracle) : value
}

function rowForOracle(row: Row): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [ALIASES.get(name), valueForOracle(value)]))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function filterForOracle(filter: unknown): Record<string, unknown> {
  const parts = Object.entries(filter ?? {}).map(([name, operand]: [string, unknown]): Record<string, unknown> => {
    if (name === '$not') return { $nor: [filterForOracle(operand)] }
    if (name.startsWith('$')) return { [name]: Array.from(Object.values(operand ?? {}), filterForOracle) }
    const alias = ALIASES.get(name) ?? name
    return isObject(operand) ? conditionsForOracle(alias, operand) : { [alias]: valueForOracle(operand) }
  })
  return parts.length === 1 ? parts[0] : parts.length === 0 ? {} : { $and: parts }
}

/** One object for all operators where they have different names there, too, else one for each. */
function conditionsForOracle(alias: string, operators: Record<string, unknown>): Record<string, unknown> {
  const said = Object.entries(operators).map(([name, operand]): [string, unknown] => {
    switch (name) {
      case '$startsWith':
        return ['$regex', new RegExp(`^${escape(String(operand))}`)]
      case '$contains':
        return ['$regex', new RegExp(escape(String(operand)))]
      case '$not': {
        const inner = conditionsForOracle(alias, isObject(operand) ? operand : {})
        return alias in inner ? ['$not', inner[alias]] : ['$nor', [inner]]
      }
      default:
        return [name, valueForOracle(operand)]
    }
  })
  const isOneObject =
    new Set(said.map(([name]) => name)).size === said.length && said.every(([name]) => name !== '$nor')
  if (isOneObject) return { [alias]: Object.fromEntries(said) }
  return {
    $and: said.map(([name, operand]) => (name === '$nor' ? { $nor: operand } : { [alias]: { [name]: operand } }))
  }
}

it(`filters find what mingo finds, for ${RUNS} filters (seed ${SEED})`, () => {
  const sizes = { none: 0, some: 0, all: 0 }
  fc.assert(
    fc.property(fc.array(row, { maxLength: 70, size: 'max' }), filter, (rows, asked) => {
      const oracle = new Query(filterForOracle(asked), {})
      const expected = rows.flatMap((row, i) => (oracle.test(rowForOracle(row)) ? i : []))
      sizes[expected.length === 0 ? 'none' : expected.length === rows.length ? 'all' : 'some']++
      expect(new FieldSegment(DECLARED, rows).find(asked)).toEqual(expected)
    }),
    { seed: SEED, numRuns: RUNS }
  )
  // Filters that find everything or nothing say little.
  expect(sizes.some).toBeGreaterThan(RUNS / 3)
})
