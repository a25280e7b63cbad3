// Damages a file and mends it.

import { closeSync, openSync, readSync, writeSync } from 'node:fs'

/** Flips a bit of a byte; returns what flips it back. */
export function flipByte(path: string, at: number): () => void {
  const change = (): void => {
    const file = openSync(path, 'r+')
    const byte = new Uint8Array(1)
    readSync(file, byte, 0, 1, at)
    byte[0] ^= 1
    writeSync(file, byte, 0, 1, at)
    closeSync(file)
  }
  change()
  return change
}
