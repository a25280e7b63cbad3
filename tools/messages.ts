// The library's messages in the command's own words: options by the names that were typed, sizes as they are given.

import type { Command } from './command.ts'
import { STANDARD_INPUT_COPY } from './standard-input.ts'

const UNITS: readonly (readonly [name: string, bytes: number])[] = [
  ['GB', 2 ** 30],
  ['MB', 2 ** 20],
  ['KB', 2 ** 10]
]

/**
 * Replaces names of the library's options where a message begins with one, says `the option NAME`, `NAME: true` or
 * `NAME: false`, and wherever a name cannot be a common word (memoryBytes). Copies of standard input are called that.
 */
export function inWordsOf(command: Command | undefined, message: string): string {
  const text = message.replace(STANDARD_INPUT_COPY, 'standard input').replace(/ \(-\)$/, ' (standard input)')
  if (command === undefined) return text
  const names = new Map<string, string>()
  for (const { name, library } of command.positionals) if (library !== undefined) names.set(library, name)
  for (const [name, { library }] of Object.entries(command.options)) names.set(library ?? name, `--${name}`)
  const sizes = Object.entries(command.options).filter(([, { isSize }]) => isSize === true)
  const hasSize = sizes.some(([name, { library }]) => text.includes(library ?? name))
  return (hasSize ? withSizes(text) : text)
    .replace(/^(\w+)(?= )/, (word) => names.get(word) ?? word)
    .replace(/\bthe option (\w+)/g, (all, word: string) => names.get(word) ?? all)
    .replace(/\b(\w+): (?:true|false)\b/g, (all, word: string) => names.get(word) ?? all)
    .replace(/\b[a-z]+[A-Z]\w+/g, (word) => names.get(word) ?? word)
}

/** Writes numbers of bytes, where messages have the value of an option, as options take them: 64MB. */
function withSizes(message: string): string {
  return message
    .replace('must be a whole number from', 'must be at least')
    .replace(
      /\b(least|found|called with|memoryBytes) (\d{4,})\b(?! [KMG]B)/g,
      (all, before: string, digits: string) => {
        const bytes = Number(digits)
        const unit = UNITS.find(([, size]) => bytes % size === 0)
        return unit === undefined ? all : `${before} ${bytes / unit[1]}${unit[0]}`
      }
    )
}
