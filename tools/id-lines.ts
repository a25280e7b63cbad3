// Ids as text: those of --id, and files of them with an id a line, as `zgq export --ids` writes them.

import { readFileSync } from 'node:fs'

import { ZgqError, type Id, type IdType } from '../src/index.ts'
import { UsageError } from './arguments.ts'

const STANDARD_INPUT_FD = 0

/** Reads an id of the command line, of the kind that the index has. */
export function readId(word: string, idType: IdType): Id {
  if (idType === 'string') return word
  if (/^\d+$/.test(word)) return Number(word)
  throw new UsageError(`--id must be a whole number: ids of this index are; found ${word}`)
}

/** Reads a file of ids, or standard input for `-`: an id a line, a string in quotes as JSON has it, or as it is. */
export function readIdLines(path: string, idType: IdType): Id[] {
  const lines = readText(path).split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line, i) => {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    const id = idType === 'string' ? readString(text) : /^\d+$/.test(text) ? Number(text) : undefined
    if (id !== undefined) return id
    const expected = idType === 'string' ? 'a string of JSON, or text without quotes' : 'a whole number'
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `line ${i + 1} is ${JSON.stringify(text.slice(0, 40))}, expected ${expected}`,
      {
        path
      }
    )
  })
}

function readString(text: string): string | undefined {
  if (!text.startsWith('"')) return text === '' ? undefined : text
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path === '-' ? STANDARD_INPUT_FD : path)
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    if (cause instanceof TypeError) throw new ZgqError('ZGQ_BUILD_INPUT', 'the file is not UTF-8', { path, cause })
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    throw new ZgqError(
      isMissing ? 'ZGQ_NOT_FOUND' : 'ZGQ_IO',
      isMissing ? 'the file of ids does not exist' : `cannot read ids: ${String(cause)}`,
      { path, cause }
    )
  }
}
