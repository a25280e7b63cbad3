// Reads small files of ours whole, whatever may stand under their names: a FIFO would hold its reader for ever.

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'

/** Larger than any lock or recipe, which may have a note of 1 MB as base64. */
const LARGEST_BYTES = 2 ** 21

/** Opening a FIFO waits for a writer, unless it is told not to; Windows has no such flag, and no FIFOs among files. */
export const OPEN_TO_READ = constants.O_RDONLY | (process.platform === 'win32' ? 0 : constants.O_NONBLOCK)

/** Returns the text of a file, undefined where it is none or too large; throws what the system throws. */
export function readSmallFile(path: string): string | undefined {
  const descriptor = openSync(path, OPEN_TO_READ)
  try {
    const stats = fstatSync(descriptor)
    return stats.isFile() && stats.size <= LARGEST_BYTES ? readFileSync(descriptor, 'utf8') : undefined
  } finally {
    closeSync(descriptor)
  }
}
