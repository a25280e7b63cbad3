// Reads the words after `zgq SUBCOMMAND`. Anything unknown or malformed is a UsageError: exit code 2.

import { parseArgs, type ParseArgsConfig } from 'node:util'

/** Wrong usage of the command; its message is shown with the usage line. */
export class UsageError extends Error {}

type OptionTypes = NonNullable<ParseArgsConfig['options']>

/** Options as given: flags are true, all others strings. */
export type Given = Readonly<Record<string, string | boolean | undefined>>

/** Parses arguments; `names` are the positionals; those in brackets, at the end, may be missing. */
export function readArguments(
  args: readonly string[],
  names: readonly string[],
  options: OptionTypes
): { positionals: string[]; given: Given } {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
    const needed = names.filter((name) => !name.startsWith('[')).length
    if (positionals.length < needed || positionals.length > names.length)
      throw new UsageError(
        `expected ${names.join(' ')}, found ${positionals.length === 0 ? 'nothing' : positionals.join(' ')}`
      )
    const given: Record<string, string | boolean | undefined> = {}
    for (const [name, value] of Object.entries(values)) given[name] = Array.isArray(value) ? undefined : value
    return { positionals, given }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(error instanceof Error ? error.message : String(error))
  }
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

/** Narrows a word to one of the choices. */
export function oneOf<const T extends string>(given: Given, name: string, choices: readonly T[]): T | undefined {
  const value = text(given, name)
  if (value === undefined) return undefined
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw new UsageError(`--${name} must be one of ${choices.join(', ')}, found ${value}`)
  return found
}
