// The checksums of an ids file for a forger: of each page by its number and the index.

import { crc32 } from 'node:zlib'

import { PAGE } from './data-file.ts'

const CRC_AT = PAGE - 4
const INDEX_ID_AT = 32

/** Computes the CRCs of all pages behind the header anew. */
export function mendIdsFile(bytes: Uint8Array): void {
  const indexId = bytes.subarray(INDEX_ID_AT, INDEX_ID_AT + 16)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let page = 1; page * PAGE < bytes.byteLength; page++) {
    const number = new Uint8Array(8)
    new DataView(number.buffer).setBigUint64(0, BigInt(page), true)
    const start = page * PAGE
    const crc = crc32(bytes.subarray(start, start + CRC_AT), crc32(number, crc32(indexId)))
    view.setUint32(start + CRC_AT, crc, true)
  }
}
