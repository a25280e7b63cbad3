// The options that the benchmarks share. Unknown ones are errors.

import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

export interface BenchOptions {
  readonly json: string | undefined
  /** Folder for indexes and prefixes; kept, and overwritten by the next run. */
  readonly work: string
  readonly text: Readonly<Record<string, string | undefined>>
  /** Options without a value that were given. */
  readonly flags: ReadonlySet<string>
  /** What is no option. */
  readonly positionals: readonly string[]
}

/** Reads `--json FILE --work DIR`, the options named, which take a value, and the flags named, which do not. */
export function readOptions(
  names: readonly string[],
  flagNames: readonly string[] = [],
  positionalCount = 0
): BenchOptions {
  const typed = (list: readonly string[], type: 'string' | 'boolean') => list.map((name) => [name, { type }] as const)
  const { values, positionals } = parseArgs({
    options: Object.fromEntries([...typed(['json', 'work', ...names], 'string'), ...typed(flagNames, 'boolean')]),
    allowPositionals: positionalCount > 0
  })
  if (positionals.length !== positionalCount)
    throw new Error(`${positionals.length} arguments were given, expected ${positionalCount}`)
  const text: Record<string, string | undefined> = {}
  for (const name of names) text[name] = one(values[name])
  const json = one(values['json'])
  const work = resolve(one(values['work']) ?? join(tmpdir(), 'zgq-bench'))
  mkdirSync(work, { recursive: true })
  return {
    json: json === undefined ? undefined : resolve(json),
    work,
    text,
    flags: new Set(flagNames.filter((name) => values[name] === true)),
    positionals
  }
}

/** Returns an option that must be there. */
export function need(options: BenchOptions, name: string): string {
  const value = options.text[name]
  if (value === undefined) throw new Error(`--${name} is missing`)
  return value
}

/** Reads an option that is a whole number of at least 1. */
export function readCount(options: BenchOptions, name: string, fallback: number): number {
  const text = options.text[name] ?? String(fallback)
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} is ${text}, expected a whole number of at least 1`)
  return Number(text)
}

function one(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
