// Help texts, and what a mistyped word was meant to be.

import { closest, distance } from 'fastest-levenshtein'

import type { Command } from './command.ts'

const WIDTH = 100

type Row = readonly [name: string, about: string]

/** Explains all commands, a line each. */
export function describeCommands(commands: readonly Command[]): string {
  const rows = commands.map(({ name, summary }): Row => [name, summary])
  return `Usage: zgq COMMAND ...

An embedded vector index that lives on disk.

Commands
${columns(rows)}

zgq COMMAND --help explains a command: its options, their defaults, an example. zgq --version prints the version.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.`
}

/** Explains one command. */
export function describeCommand(command: Command): string {
  const { summary, positionals, options, notes, examples } = command
  const named = positionals.map(({ name, about }): Row => [name, about])
  const flags = Object.entries(options).map(([name, { value, about }]): Row => [
    `--${name}${value === undefined ? '' : ` ${value}`}`,
    about
  ])
  return [
    `Usage: ${usageOf(command)}`,
    `${summary[0].toUpperCase()}${summary.slice(1)}.`,
    columns(named),
    `Options\n${columns(flags)}`,
    ...(notes === undefined ? [] : [notes]),
    `${examples.length === 1 ? 'Example' : 'Examples'}\n${examples.map((line) => `  ${line}`).join('\n')}`
  ].join('\n\n')
}

export function usageOf({ name, positionals }: Command): string {
  const words = positionals.map((of) => (of.isOptional === true ? `[${of.name}]` : of.name))
  return `zgq ${[name, ...words].join(' ')} [options]`
}

/** Says what a word was meant to be: `; did you mean X?`, or nothing where none of `known` is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  if (word === '' || known.length === 0) return ''
  const nearest = closest(word, known)
  return distance(word, nearest) <= Math.max(1, Math.floor(nearest.length / 3)) ? `; did you mean ${nearest}?` : ''
}

/** Two columns; what does not fit goes on below itself. */
function columns(rows: readonly Row[]): string {
  const left = Math.max(...rows.map(([name]) => name.length))
  return rows
    .map(
      ([name, about]) => `  ${name.padEnd(left)}  ${wrap(about, WIDTH - left - 4).join(`\n${' '.repeat(left + 4)}`)}`
    )
    .join('\n')
}

function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1]
    if (last === '') lines[lines.length - 1] = word
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
