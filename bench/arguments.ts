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
}

/** Reads `--json FILE --work DIR` and the options named; all take a value. */
export function readOptions(names: readonly string[]): BenchOptions {
  const all = ['json', 'work', ...names]
  const { values } = parseArgs({ options: Object.fromEntries(all.map((name) => [name, { type: 'string' as const }])) })
  const text: Record<string, string | undefined> = {}
  for (const name of names) text[name] = one(values[name])
  const json = one(values['json'])
  const work = resolve(one(values['work']) ?? join(tmpdir(), 'zgq-bench'))
  mkdirSync(work, { recursive: true })
  return { json: json === undefined ? undefined : resolve(json), work, text }
}

/** Returns an option that must be there. */
export function need(options: BenchOptions, name: string): string {
  const value = options.text[name]
  if (value === undefined) throw new Error(`--${name} is missing`)
  return value
}

function one(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
