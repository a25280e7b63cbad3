// Large made-up sets from small real ones: the rows of a .u8bin file over and over, each time with other noise.

import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'

/** Largest noise, up or down, on values of 0 to 255. */
const NOISE = 24
const ROWS_AT_ONCE = 65_536

export interface NoisyRows {
  readonly from: string
  readonly to: string
  readonly rows: number
  readonly seed: number
  /** Rows of `from` to leave out at its start. */
  readonly skip?: number
}

/** Writes a .u8bin file of `rows` rows: row i is row i mod n of `from` with uniform noise, cut off at 0 and 255. */
export function writeNoisyRows({ from, to, rows, seed, skip = 0 }: NoisyRows): void {
  const source = readFileSync(from)
  const [count, dim] = [source.readUInt32LE(0), source.readUInt32LE(4)]
  const header = Buffer.alloc(8)
  header.writeUInt32LE(rows, 0)
  header.writeUInt32LE(dim, 4)
  const descriptor = openSync(`${to}.new`, 'w')
  writeSync(descriptor, header)
  const chunk = new Uint8Array(ROWS_AT_ONCE * dim)
  let state = (seed * 0x9e3779b1) | 1
  for (let first = 0; first < rows; first += ROWS_AT_ONCE) {
    const some = Math.min(ROWS_AT_ONCE, rows - first)
    for (let row = 0; row < some; row++) {
      const at = 8 + ((skip + first + row) % count) * dim
      for (let i = 0; i < dim; i++) {
        // xorshift32 (Marsaglia 2003); the high bits are taken
        state ^= state << 13
        state ^= state >>> 17
        state ^= state << 5
        const value = source[at + i] + ((((state >>> 8) * (2 * NOISE + 1)) / 2 ** 24) | 0) - NOISE
        chunk[row * dim + i] = value < 0 ? 0 : value > 255 ? 255 : value
      }
    }
    writeSync(descriptor, chunk, 0, some * dim)
  }
  closeSync(descriptor)
  renameSync(`${to}.new`, to)
}
