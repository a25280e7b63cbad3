// What a filter asks, without the caller's spelling: a small tree over field numbers, in a normal form. Its key tells
// trees apart, so that what was computed for a filter is found again by value.

import type { NumberSet, StringSet } from './sieve.ts'

interface Keyed<Kind extends string> {
  readonly kind: Kind
  /** Equal for equal predicates of one index, and for no others. */
  readonly key: string
}

interface OnField<Kind extends string> extends Keyed<Kind> {
  /** Number of the field. */
  readonly field: number
}

/** Byte strings from `from` on and before `to`; `to` is undefined where there is no end. */
export interface StringRange {
  readonly from: Uint8Array
  readonly to: Uint8Array | undefined
}

/** low <= value <= high. */
export interface NumberCondition extends OnField<'numbers'> {
  readonly low: number
  readonly high: number
}

export interface NumberSetCondition extends OnField<'numberSet'> {
  readonly set: NumberSet
}

/** The string, or any of a list, is in a range: equality, order and prefixes. */
export interface StringCondition extends OnField<'strings'> {
  readonly range: StringRange
  readonly isList: boolean
}

/** The string, or any of a list, is one of these. */
export interface StringSetCondition extends OnField<'stringSet'> {
  readonly set: StringSet
}

/** The string, or any of a list, has these bytes in it; there are some. */
export interface ContainsCondition extends OnField<'contains'> {
  readonly text: Uint8Array
}

/** A condition on one field. Rows without a value meet none but `missing`, and `exists` where the value is null. */
export type Condition =
  | OnField<'exists'>
  /** Missing or null. */
  | OnField<'missing'>
  | OnField<'true'>
  | OnField<'false'>
  | NumberCondition
  | NumberSetCondition
  | StringCondition
  | StringSetCondition
  | ContainsCondition

export interface Combination extends Keyed<'and' | 'or'> {
  /** At least two, distinct, by ascending keys. */
  readonly parts: readonly Predicate[]
}

export interface Negation extends Keyed<'not'> {
  readonly part: Predicate
}

export type Predicate = Keyed<'all'> | Keyed<'none'> | Combination | Negation | Condition

/** Every row. */
export const ALL: Predicate = { kind: 'all', key: '*' }
/** No row. */
export const NONE: Predicate = { kind: 'none', key: '-' }

/** Lists the numbers of the fields that a predicate asks, ascending. */
export function fieldsOf(predicate: Predicate): readonly number[] {
  const fields = new Set<number>()
  const visit = (part: Predicate): void => {
    if ('parts' in part) part.parts.forEach(visit)
    else if ('part' in part) visit(part.part)
    else if ('field' in part) fields.add(part.field)
  }
  visit(predicate)
  return [...fields].sort((left, right) => left - right)
}
