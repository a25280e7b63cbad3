// Conditions by the type of their field, from operands that were checked: null among them stands for no value.

import { nextAbove, nextBelow } from '../format/next-number.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { FilterOperand } from '../types.ts'
import { anyOf } from './combine.ts'
import {
  contains,
  inNumbers,
  inStrings,
  isBoolean,
  isOneNumber,
  isOneString,
  missing,
  rangeAfter,
  rangeBefore,
  rangeFrom,
  rangeOfPrefix,
  rangeUpTo,
  type StringField
} from './conditions.ts'
import type { Predicate, StringRange } from './predicate.ts'

export type RangeOperator = '$gt' | '$gte' | '$lt' | '$lte'
export type TextOperator = '$startsWith' | '$contains'

/** The value, or any element of a list, is one of the operands. */
export function isOneOf(field: DeclaredField, operands: readonly FilterOperand[]): Predicate {
  const conditions = operands.includes(null) ? [missing(field.number)] : []
  switch (field.type) {
    case 'number':
      conditions.push(
        isOneNumber(
          field.number,
          operands.filter((value) => typeof value === 'number')
        )
      )
      break
    case 'boolean':
      for (const value of [true, false]) if (operands.includes(value)) conditions.push(isBoolean(field.number, value))
      break
    case 'string':
    case 'string[]':
      conditions.push(
        isOneString(
          stringField(field),
          operands.filter((value) => typeof value === 'string')
        )
      )
  }
  return anyOf(conditions)
}

export function inRange(field: DeclaredField, operator: RangeOperator, operand: string | number): Predicate {
  return typeof operand === 'number'
    ? inNumberRange(field.number, operator, operand)
    : inStrings(stringField(field), stringRange(operator, operand))
}

export function hasText(field: DeclaredField, operator: TextOperator, text: string): Predicate {
  return operator === '$contains'
    ? contains(stringField(field), text)
    : inStrings(stringField(field), rangeOfPrefix(text))
}

function stringField({ number, type }: DeclaredField): StringField {
  return { number, isList: type === 'string[]' }
}

function inNumberRange(field: number, operator: RangeOperator, operand: number): Predicate {
  switch (operator) {
    case '$gt':
      return inNumbers(field, nextAbove(operand), Infinity)
    case '$gte':
      return inNumbers(field, operand, Infinity)
    case '$lt':
      return inNumbers(field, -Infinity, nextBelow(operand))
    case '$lte':
      return inNumbers(field, -Infinity, operand)
  }
}

function stringRange(operator: RangeOperator, operand: string): StringRange {
  switch (operator) {
    case '$gt':
      return rangeAfter(operand)
    case '$gte':
      return rangeFrom(operand)
    case '$lt':
      return rangeBefore(operand)
    case '$lte':
      return rangeUpTo(operand)
  }
}
