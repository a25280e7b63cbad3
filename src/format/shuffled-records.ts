// Records of a fixed width in an order that deflates well (spec, section 12.2): differences from record to record, and
// of all records the first bytes, then all second bytes, and so on. No I/O.

/** Shuffles records whose width is a multiple of 4: the same number of bytes comes out. */
export function shuffleRecords(records: Uint8Array, recordBytes: number): Uint8Array {
  const count = records.byteLength / recordBytes
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength)
  const shuffled = new Uint8Array(records.byteLength)
  for (let at = 0; at < recordBytes; at += 4) {
    let before = 0
    for (let i = 0; i < count; i++) {
      const word = view.getUint32(i * recordBytes + at, true)
      const difference = (word - before) >>> 0
      before = word
      for (let byte = 0; byte < 4; byte++) shuffled[(at + byte) * count + i] = difference >>> (8 * byte)
    }
  }
  return shuffled
}

/** Undoes `shuffleRecords`. */
export function unshuffleRecords(shuffled: Uint8Array, recordBytes: number): Uint8Array {
  const count = shuffled.byteLength / recordBytes
  const records = new Uint8Array(shuffled.byteLength)
  const view = new DataView(records.buffer)
  for (let at = 0; at < recordBytes; at += 4) {
    let word = 0
    for (let i = 0; i < count; i++) {
      let difference = 0
      for (let byte = 3; byte >= 0; byte--) difference = (difference << 8) | shuffled[(at + byte) * count + i]
      word = (word + difference) >>> 0
      view.setUint32(i * recordBytes + at, word, true)
    }
  }
  return records
}
