// The columns of a Parquet file: which holds vectors, which ids, and how the values of others become parts of payloads.

import type { SchemaElement, SchemaTree } from 'hyparquet'

import { ZgqError } from '../errors.ts'
import type { IdType } from '../types.ts'
import type { NumberKind, Numbers } from './number-kinds.ts'
import { NumberDecoder } from './parquet-numbers.ts'
import type { DecodedColumn, LeafColumn } from './parquet-pages.ts'
import { BooleanDecoder, ByteArrayDecoder, decodeText } from './parquet-texts.ts'
import { numberKindOf } from './parquet-values.ts'

/** A column of numbers, or of lists of numbers. */
export interface NumberColumn extends DecodedColumn<Numbers> {
  readonly kind: NumberKind
}

/** A column of values of one type, or of lists of them. */
export interface ValueColumn extends DecodedColumn<ArrayLike<unknown>> {
  /** Makes the value of a payload; undefined: it cannot be one. */
  readonly convert: (value: unknown) => unknown
}

/** The column of the ids. */
export interface IdColumn {
  readonly idType: IdType
  readonly column: DecodedColumn<ArrayLike<unknown>>
}

const DAY_MS = 86_400_000

/** Follows a column of the table down to its values; undefined if it branches. */
function leafOf(tree: SchemaTree): LeafColumn | undefined {
  const levels: SchemaElement[] = []
  let node = tree
  for (;;) {
    levels.push(node.element)
    if (node.children.length === 0) break
    if (node.children.length > 1) return undefined
    node = node.children[0]
  }
  const isOptional = (element: SchemaElement): boolean => element.repetition_type !== 'REQUIRED'
  const repeated = levels.findIndex((element) => element.repetition_type === 'REPEATED')
  return {
    name: tree.element.name,
    path: node.path,
    element: node.element,
    maxRepetition: levels.filter((element) => element.repetition_type === 'REPEATED').length,
    maxDefinition: levels.filter(isOptional).length,
    entryDefinition: levels.slice(0, repeated + 1).filter(isOptional).length
  }
}

function numberColumnOf(tree: SchemaTree, isVector: boolean): NumberColumn | undefined {
  const leaf = leafOf(tree)
  const kind = leaf === undefined ? undefined : numberKindOf(leaf.element)
  if (leaf === undefined || kind === undefined) return undefined
  return { ...leaf, kind, makeDecoder: (library) => new NumberDecoder(library, kind, isVector) }
}

function textColumnOf(tree: SchemaTree): DecodedColumn<readonly unknown[]> | undefined {
  const leaf = leafOf(tree)
  return leaf !== undefined && isText(leaf.element)
    ? { ...leaf, makeDecoder: (library) => new ByteArrayDecoder(library, decodeText) }
    : undefined
}

function isText({ type, converted_type: converted, logical_type: logical }: SchemaElement): boolean {
  if (type !== 'BYTE_ARRAY') return false
  const names = [converted, logical?.type].filter((name) => name !== undefined)
  return names.length > 0 && names.every((name) => ['UTF8', 'STRING', 'ENUM', 'JSON'].includes(name))
}

function isSingle({ maxRepetition, path }: LeafColumn): boolean {
  return maxRepetition === 0 && path.length === 1
}

function valueColumnOf(tree: SchemaTree, leaf: LeafColumn): ValueColumn | undefined {
  const { element } = leaf
  const texts = textColumnOf(tree)
  if (texts !== undefined) return { ...texts, convert: (text) => text }
  const numbers = numberColumnOf(tree, false)
  if (numbers !== undefined) return { ...numbers, convert: numbers.kind.startsWith('f') ? (value) => value : safeOnly }
  const time = timeOf(element)
  if (time !== undefined) {
    const { kind, convert } = time
    return { ...leaf, makeDecoder: (library) => new NumberDecoder(library, kind, false), convert }
  }
  if (element.type === 'BOOLEAN') return { ...leaf, makeDecoder: () => new BooleanDecoder(), convert: (value) => value }
  const isBytes = element.type === 'BYTE_ARRAY' && element.converted_type === undefined
  if (!isBytes || element.logical_type !== undefined) return undefined
  const makeDecoder: ValueColumn['makeDecoder'] = (library) =>
    new ByteArrayDecoder(library, (bytes) => Uint8Array.from(bytes))
  return { ...leaf, makeDecoder, convert: (bytes) => bytes }
}

/** Integers beyond the safe range were rounded. */
function safeOnly(value: unknown): unknown {
  return Number.isSafeInteger(value) ? value : undefined
}

/** Times as numbers of milliseconds since 1970; undefined for what is no time, or one of another kind. */
function timeOf({
  type,
  converted_type: converted,
  logical_type: logical
}: SchemaElement): { kind: NumberKind; convert: (value: unknown) => unknown } | undefined {
  if (type === 'INT32' && (converted === 'DATE' || logical?.type === 'DATE'))
    return { kind: 'i4', convert: (days) => Number(days) * DAY_MS }
  if (type !== 'INT64') return undefined
  const unit = logical?.type === 'TIMESTAMP' ? logical.unit : converted?.replace('TIMESTAMP_', '')
  if (unit === 'MILLIS') return { kind: 'i8', convert: safeOnly }
  if (unit === 'MICROS') return { kind: 'i8', convert: (micros) => Number(micros) / 1000 }
  // Of nanoseconds a float64 holds some 128 at a time: what is finer than a microsecond is rounded.
  if (unit === 'NANOS') return { kind: 'i8', convert: (nanos) => Math.round(Number(nanos) / 1000) / 1000 }
  return undefined
}

/**
 * Finds the column of the vectors: the one of that name, or the only one of lists of numbers. Throws ZGQ_BUILD_INPUT.
 */
export function findVectors(columns: readonly SchemaTree[], name: string | undefined, path: string): NumberColumn {
  const lists = columns.map((tree) => numberColumnOf(tree, true)).filter((column) => column?.maxRepetition === 1)
  if (name === undefined) {
    const [only] = lists
    if (only !== undefined && lists.length === 1) return only
    const found =
      lists.length === 0
        ? `no column of lists of numbers: its columns are ${namesOf(columns)}`
        : `several columns of lists of numbers: ${lists.map((list) => list?.name).join(', ')}`
    throw new ZgqError('ZGQ_BUILD_INPUT', `the file has ${found}; name one with the option column`, { path })
  }
  const list = lists.find((candidate) => candidate?.name === name)
  if (list !== undefined) return list
  expectColumn(columns, name, path)
  throw new ZgqError('ZGQ_BUILD_INPUT', `the column ${name} does not hold lists of numbers`, { path })
}

/** Finds the column of the ids, of integers or strings; throws ZGQ_BUILD_INPUT. */
export function findIds(columns: readonly SchemaTree[], name: string, path: string): IdColumn {
  const tree = expectColumn(columns, name, path)
  const numbers = numberColumnOf(tree, false)
  if (numbers !== undefined && isSingle(numbers) && !numbers.kind.startsWith('f'))
    return { idType: 'integer', column: numbers }
  const texts = textColumnOf(tree)
  if (texts !== undefined && isSingle(texts)) return { idType: 'string', column: texts }
  throw new ZgqError('ZGQ_BUILD_INPUT', `the column of ids ${name} does not hold integers or strings`, { path })
}

/**
 * Finds a column that goes into payloads: of strings, numbers, booleans, bytes or times, or of lists of them. Throws
 * ZGQ_BUILD_INPUT for anything else.
 */
export function findPayloadColumn(columns: readonly SchemaTree[], name: string, path: string): ValueColumn {
  const tree = expectColumn(columns, name, path)
  const leaf = leafOf(tree)
  const found =
    leaf === undefined || leaf.maxRepetition > 1 || (leaf.maxRepetition === 0 && leaf.path.length > 1)
      ? undefined
      : valueColumnOf(tree, leaf)
  if (found !== undefined) return found
  const { type, converted_type: converted, logical_type: logical } = (leaf ?? tree).element
  const what = leaf === undefined ? 'a structure' : (logical?.type ?? converted ?? type ?? 'unknown')
  throw new ZgqError(
    'ZGQ_BUILD_INPUT',
    `the column ${name} (${what}) cannot go into payloads: expected strings, numbers, booleans, bytes or times, or ` +
      'lists of them; leave it out with the option payload',
    { path }
  )
}

function expectColumn(columns: readonly SchemaTree[], name: string, path: string): SchemaTree {
  const found = columns.find((column) => column.element.name === name)
  if (found === undefined)
    throw new ZgqError('ZGQ_BUILD_INPUT', `the file has no column ${name}: its columns are ${namesOf(columns)}`, {
      path
    })
  return found
}

/** Lists the names of columns. */
function namesOf(columns: readonly SchemaTree[]): string {
  return columns.map((column) => column.element.name).join(', ')
}
