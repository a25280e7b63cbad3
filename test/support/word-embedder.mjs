// A model for tests of the Electron example: counts of hashed words, the same every time. Texts are near where they
// share words; it knows no meaning.

export const name = 'words'
export const dim = 64

/** A row starts with a small constant: a text without words must have a direction too. */
const BASE = 0.1

export async function embed(texts) {
  const rows = new Float32Array(texts.length * dim)
  for (const [row, text] of texts.entries()) {
    rows[row * dim] = BASE
    for (const word of text.toLowerCase().match(/[a-z]+/g) ?? []) rows[row * dim + 1 + (hash(word) % (dim - 1))]++
  }
  return rows
}

function hash(word) {
  let value = 0
  for (const letter of word) value = (value * 31 + letter.charCodeAt(0)) % 1_000_003
  return value
}
