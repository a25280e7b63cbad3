// From a folder to passages: which files are texts, and where a text is cut. What becomes of the passages is in
// library.js.

import { readdir, readFile, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'

const TEXT_FILES = new Set(['.txt', '.md', '.markdown', '.rst', '.org'])
const MOST_FILE_BYTES = 16 * 2 ** 20
/** Long enough for a thought, short enough for the model: what it is given at once blurs into one vector. */
const MOST_CHARACTERS = 400

/** @typedef {{ path: string, bytes: number, modified: number }} TextFile `modified`: milliseconds since 1970 */

/**
 * Lists the text files below a folder, in order of their names; what is hidden and links are left out.
 * @param {string} folder
 * @returns {Promise<TextFile[]>}
 */
export async function listTexts(folder) {
  const found = []
  const entries = await readdir(folder, { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
    if (entry.isDirectory()) found.push(...(await listTexts(path)))
    else if (entry.isFile() && TEXT_FILES.has(extname(entry.name).toLowerCase())) {
      const { size, mtimeMs } = await stat(path)
      found.push({ path, bytes: size, modified: Math.floor(mtimeMs) })
    }
  }
  return found
}

/**
 * Reads a text file and cuts it into passages; returns undefined for what is too large or is not UTF-8.
 * @param {{ path: string, bytes: number }} file
 */
export async function readPassages({ path, bytes }) {
  if (bytes > MOST_FILE_BYTES) return undefined
  const content = await readFile(path)
  try {
    return cutText(new TextDecoder('utf-8', { fatal: true }).decode(content))
  } catch {
    return undefined
  }
}

/**
 * Cuts a text: short paragraphs stay together, long ones end at a sentence or at least at a word.
 * @param {string} text
 * @returns {{ line: number, text: string }[]} `line` counts from 1
 */
export function cutText(text, most = MOST_CHARACTERS) {
  /** @type {{ line: number, text: string }[]} */
  const passages = []
  for (const piece of paragraphs(text).flatMap((paragraph) => cutParagraph(paragraph, most))) {
    const last = passages.at(-1)
    if (last && last.text.length + 2 + piece.text.length <= most) last.text += `\n\n${piece.text}`
    else passages.push({ ...piece })
  }
  return passages
}

/** @param {string} text */
function paragraphs(text) {
  /** @type {{ line: number, text: string }[]} */
  const found = []
  let isInside = false
  for (const [number, line] of text.split(/\r\n|\n|\r/).entries()) {
    const words = line.trim()
    if (words === '') isInside = false
    else if (isInside) found[found.length - 1].text += `\n${words}`
    else {
      found.push({ line: number + 1, text: words })
      isInside = true
    }
  }
  return found
}

/** @param {{ line: number, text: string }} paragraph @param {number} most */
function cutParagraph({ line, text }, most) {
  const pieces = []
  let rest = text
  while (rest.length > most) {
    const end = endOfPiece(rest.slice(0, most))
    pieces.push({ line, text: rest.slice(0, end).trim() })
    line += rest.slice(0, end).split('\n').length - 1
    rest = rest.slice(end)
  }
  pieces.push({ line, text: rest.trim() })
  return pieces.filter((piece) => piece.text !== '')
}

/**
 * Ends at the last sentence if that leaves half of the text, else at the last word, else where it must. @param {string}
 * text
 */
function endOfPiece(text) {
  const sentence = Math.max(...['. ', '.\n', '! ', '!\n', '? ', '?\n'].map((end) => text.lastIndexOf(end))) + 2
  if (sentence > text.length / 2) return sentence
  const word = Math.max(text.lastIndexOf(' '), text.lastIndexOf('\n')) + 1
  if (word > 0) return word
  return /[\ud800-\udbff]$/.test(text) ? text.length - 1 : text.length // not between the halves of a character
}
