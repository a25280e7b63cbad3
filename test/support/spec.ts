// Reads format-spec/README.md as a test needs it: sections by heading, tables by row.

import { readFileSync } from 'node:fs'

export const SPEC = readFileSync(new URL('../../format-spec/README.md', import.meta.url), 'utf8')

/** Returns the text under a heading, up to the next heading; fails where it does not stand exactly once. */
export function section(heading: string): string {
  const parts = SPEC.split(/^#{1,3} /m).filter((part) => part.startsWith(`${heading}\n`))
  if (parts.length !== 1) throw new Error(`the spec has ${parts.length} headings "${heading}"`)
  return parts[0].slice(heading.length)
}

/** Returns the rows of the first table under a heading, cell by cell, without its head. */
export function tableRows(heading: string): string[][] {
  const lines = section(heading).split('\n')
  const start = lines.findIndex((line) => line.startsWith('|'))
  const after = lines.slice(start)
  const end = after.findIndex((line) => !line.startsWith('|'))
  return after.slice(2, end === -1 ? undefined : end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  )
}

/** Returns the meaning that a layout table gives for a field. */
export function meaningOf(heading: string, field: string): string {
  const row = tableRows(heading).find(([, , name]) => name === field)
  if (row === undefined) throw new Error(`${heading} has no field ${field}`)
  return row[3]
}

/** Reads the pairs of a list such as `1 = l2, 2 = cosine`. */
export function codeList(text: string): Record<string, number> {
  return Object.fromEntries([...text.matchAll(/(\d+) = (\w+)/g)].map(([, code, name]) => [name, Number(code)]))
}

/** Reads all runs of hex pairs between backticks. */
export function hexBytes(text: string): number[][] {
  return [...text.matchAll(/`((?:[0-9A-F]{2} ?)+)`/g)].map(([, hex]) =>
    hex.split(' ').map((pair) => Number.parseInt(pair, 16))
  )
}
