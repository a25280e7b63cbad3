// The library's messages in the command's own words: options by the names that were typed.

import type { Command } from './command.ts'

/** Replaces names of the library's options, where a message begins with one or says `the option NAME`. */
export function inWordsOf(command: Command | undefined, message: string): string {
  if (command === undefined) return message
  const names = new Map<string, string>()
  for (const { name, library } of command.positionals) if (library !== undefined) names.set(library, name)
  for (const [name, { library }] of Object.entries(command.options)) names.set(library ?? name, `--${name}`)
  return message
    .replace(/^(\w+)(?= )/, (word) => names.get(word) ?? word)
    .replace(/\bthe option (\w+)/g, (all, word: string) => names.get(word) ?? all)
}
