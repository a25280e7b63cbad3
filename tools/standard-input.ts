// `-` in the place of a file: standard input, copied to a temporary file, since rows are read in any order.

import { createWriteStream, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { ZgqError } from '../src/index.ts'
import { oneOf, text, UsageError, type Given } from './arguments.ts'
import { FORMATS } from './command.ts'

const STANDARD_INPUT = '-'
const DEFAULT_FORMAT = 'jsonl'

/** Finds copies of standard input in messages: people know them by another name. */
export const STANDARD_INPUT_COPY = /[^\s(]*\.zgq-standard-input-\w+[\\/]standard-input\.\w+/g

/** A file to read, and what to do once it was read. */
export interface ReadableFile {
  readonly path: string
  /** Removes what was copied. */
  release(): void
}

/**
 * Returns the file itself, or for `-` a copy of standard input in `folder` (default: the system's temporary folder).
 * Its ending is --format.
 */
export async function fileOf(
  path: string,
  given: Given,
  options: { readonly folder?: string; readonly signal?: AbortSignal } = {}
): Promise<ReadableFile> {
  const format = text(given, 'format')
  if (path !== STANDARD_INPUT) {
    if (format !== undefined) throw new UsageError('--format is for standard input: give - instead of the file')
    return { path, release: () => undefined }
  }
  oneOf(given, 'format', FORMATS)
  const folder = makeFolder(options.folder ?? tmpdir())
  const release = (): void => {
    rmSync(folder, { recursive: true, force: true })
  }
  const copy = join(folder, `standard-input.${format ?? DEFAULT_FORMAT}`)
  try {
    await pipeline(
      process.stdin,
      createWriteStream(copy),
      options.signal === undefined ? {} : { signal: options.signal }
    )
  } catch (cause) {
    release()
    options.signal?.throwIfAborted()
    throw new ZgqError('ZGQ_IO', `cannot copy standard input: ${String(cause)}`, { path: copy, cause })
  }
  return { path: copy, release }
}

function makeFolder(parent: string): string {
  try {
    return mkdtempSync(join(parent, '.zgq-standard-input-'))
  } catch (cause) {
    if (!existsSync(parent))
      throw new ZgqError('ZGQ_NOT_FOUND', 'the folder for the output does not exist; make it first', {
        path: parent,
        cause
      })
    throw new ZgqError('ZGQ_IO', `cannot make a folder to copy standard input to: ${String(cause)}`, {
      path: parent,
      cause
    })
  }
}
