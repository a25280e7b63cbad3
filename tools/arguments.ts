// Reads the words after `zgq COMMAND`. Anything unknown or malformed is a UsageError: exit code 2.

import { parseArgs } from 'node:util'

import type { Fields, FieldType } from '../src/build.ts'
import type { Filter } from '../src/index.ts'
import type { Command, CommandArguments, OptionDeclarations } from './command.ts'
import { didYouMean } from './help.ts'

/** Wrong usage of the command; its message is shown with the usage line. */
export class UsageError extends Error {}

/** Options as given: flags are true, those that may be given more than once lists, all others strings. */
export type Given = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

/** Reads the words after a command's name by its declaration. */
export function readArguments(args: readonly string[], command: Command): CommandArguments {
  const { options, positionals: declared } = command
  const types: Record<string, { type: 'boolean' | 'string' }> = {}
  for (const [name, { value }] of Object.entries(options))
    types[name] = { type: value === undefined ? 'boolean' : 'string' }
  const { tokens } = parseArgs({
    args: [...args],
    options: types,
    allowPositionals: true,
    strict: false,
    tokens: true
  })
  const given: Record<string, string | boolean | readonly string[] | undefined> = {}
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    else if (token.kind === 'option') given[token.name] = readOption(token, { options, given })
  }
  const needed = declared.filter(({ isOptional }) => isOptional !== true).length
  if (positionals.length < needed || positionals.length > declared.length)
    throw new UsageError(
      `expected ${declared.map(({ name, isOptional }) => (isOptional === true ? `[${name}]` : name)).join(' ')}, ` +
        `found ${positionals.length === 0 ? 'nothing' : positionals.join(' ')}`
    )
  return { positionals, given }
}

type Reader<Value> = { readonly read: (given: Given, name: string) => Value }
type LibraryName<Declaration, Name> = Declaration extends { readonly library: infer Library } ? Library : Name

/** Options as the library takes them, by its names. */
export type LibraryOptions<Declared> = {
  readonly [
    Name in keyof Declared as Declared[Name] extends Reader<unknown>
      ? LibraryName<Declared[Name], Name> & string
      : never
  ]: Declared[Name] extends Reader<infer Value> ? Value : never
}

/** Keeps the names of options for the type of what `libraryOptions` returns. */
export function declareOptions<const Declared extends OptionDeclarations>(declared: Declared): Declared {
  return declared
}

/** Reads all options that go to the library. */
export function libraryOptions<Declared extends OptionDeclarations>(
  declared: Declared,
  given: Given
): LibraryOptions<Declared>
export function libraryOptions(declared: OptionDeclarations, given: Given): object {
  return Object.fromEntries(
    Object.entries(declared).flatMap(([name, { read, library }]) =>
      read === undefined ? [] : [[library ?? name, read(given, name)]]
    )
  )
}

function readOption(
  token: { readonly name: string; readonly rawName: string; readonly value: string | undefined },
  of: { readonly options: OptionDeclarations; readonly given: Given }
): string | boolean | readonly string[] {
  const { name, rawName, value } = token
  if (!Object.hasOwn(of.options, name)) {
    const known = ['--help', ...Object.keys(of.options).map((option) => `--${option}`)]
    throw new UsageError(`unknown option ${rawName}${didYouMean(rawName, known)}`)
  }
  const { value: wanted, isList } = of.options[name]
  if (of.given[name] !== undefined && isList !== true) throw new UsageError(`--${name} is given twice`)
  if (wanted === undefined) {
    if (value !== undefined) throw new UsageError(`--${name} takes no value, found ${JSON.stringify(value)}`)
    return true
  }
  // A value that begins with - is more likely the next option, its own value forgotten.
  if (value === undefined || /^--/.test(value)) throw new UsageError(`--${name} needs a value: --${name} ${wanted}`)
  return isList === true ? [...(textList(of.given, name) ?? []), value] : value
}

/** Reads an option that may be given more than once. */
export function textList(given: Given, name: string): readonly string[] | undefined {
  const value = given[name]
  return Array.isArray(value) ? value : undefined
}

/** Reads a whole number; undefined if the option was not given. */
export function wholeNumber(given: Given, name: string): number | undefined {
  const value = given[name]
  if (typeof value !== 'string') return undefined
  if (!/^\d+$/.test(value)) throw new UsageError(`--${name} must be a whole number, found ${value}`)
  return Number(value)
}

/** Reads a number; undefined if the option was not given. */
export function oneNumber(given: Given, name: string): number | undefined {
  const list = numberList(given, name)
  if (list !== undefined && list.length > 1)
    throw new UsageError(`--${name} must be one number, found ${list.join(',')}`)
  return list?.[0]
}

/** Reads a number that may be negative; undefined if the option was not given. */
export function signedNumber(given: Given, name: string): number | undefined {
  const value = text(given, name)
  if (value === undefined) return undefined
  if (!/^-?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(value))
    throw new UsageError(`--${name} must be a number, found ${value}`)
  return Number(value)
}

/** Reads a comma-separated list of numbers. */
export function numberList(given: Given, name: string): number[] | undefined {
  const value = given[name]
  if (typeof value !== 'string') return undefined
  return value.split(',').map((part) => {
    if (!/^(\d+(\.\d+)?|\.\d+)$/.test(part))
      throw new UsageError(`--${name} must be numbers separated by commas, found ${value}`)
    return Number(part)
  })
}

/** Tells whether an option without a value was given. */
export function flag(given: Given, name: string): boolean {
  return given[name] === true
}

export function text(given: Given, name: string): string | undefined {
  const value = given[name]
  return typeof value === 'string' ? value : undefined
}

/** Reads a size such as 512MB, 2GB or 1048576; MB = 2^20 bytes. */
export function byteSize(given: Given, name: string): number | undefined {
  const value = text(given, name)
  if (value === undefined) return undefined
  const match = /^(\d+)(KB|MB|GB)?$/i.exec(value)
  if (match === null) throw new UsageError(`--${name} must be a size such as 512MB or 2GB, found ${value}`)
  const unit = { KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 }[(match[2] ?? '').toUpperCase()] ?? 1
  return Number(match[1]) * unit
}

/** Reads a comma-separated list of names. */
export function nameList(given: Given, name: string): string[] | undefined {
  const names = text(given, name)?.split(',')
  if (names?.includes('') === true)
    throw new UsageError(`--${name} must be names separated by commas, found ${String(given[name])}`)
  return names
}

const FIELD_TYPES: readonly FieldType[] = ['string', 'number', 'boolean', 'string[]']

/** Reads declared fields: `path:string,mtime:number`. */
export function fieldList(given: Given, name: string): Fields | undefined {
  const parts = nameList(given, name)
  if (parts === undefined) return undefined
  const fields = parts.map((part): [string, FieldType] => {
    const colon = part.lastIndexOf(':')
    const type = FIELD_TYPES.find((one) => one === part.slice(colon + 1))
    if (colon > 0 && type !== undefined) return [part.slice(0, colon), type]
    throw new UsageError(`--${name} must be NAME:TYPE,... with types ${FIELD_TYPES.join(', ')}, found ${part}`)
  })
  const twice = fields.find(([field], i) => fields.findIndex(([other]) => other === field) !== i)
  if (twice !== undefined) throw new UsageError(`--${name} declares ${twice[0]} twice`)
  return Object.fromEntries(fields)
}

/** Reads a JSON object. */
export function jsonObject(given: Given, name: string): Record<string, unknown> | undefined {
  return readJson(given, { name, isWanted: isObject })
}

/** Reads a filter. What it may ask is for the index to say. */
export function jsonFilter(given: Given, name: string): Filter | undefined {
  return readJson(given, { name, isWanted: isFilter })
}

function readJson<Wanted>(
  given: Given,
  of: { readonly name: string; readonly isWanted: (value: unknown) => value is Wanted }
): Wanted | undefined {
  const value = text(given, of.name)
  if (value === undefined) return undefined
  try {
    const parsed: unknown = JSON.parse(value)
    if (of.isWanted(parsed)) return parsed
  } catch {
    // said below, like any other value
  }
  throw new UsageError(`--${of.name} must be a JSON object, found ${value}`)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isFilter(value: unknown): value is Filter {
  return isObject(value)
}

/** Narrows a word to one of the choices. */
export function oneOf<const T extends string>(given: Given, name: string, choices: readonly T[]): T | undefined {
  const value = text(given, name)
  if (value === undefined) return undefined
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw new UsageError(`--${name} must be one of ${choices.join(', ')}, found ${value}`)
  return found
}
