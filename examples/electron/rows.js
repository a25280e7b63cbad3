// What a passage is in the index: its id, its payload, and what filters ask of it.

import { createHash } from 'node:crypto'
import { dirname, sep } from 'node:path'

/** What filters may ask of a passage; its payload has more besides. `modified`: milliseconds since 1970. */
export const FIELDS = /** @type {const} */ ({ file: 'string', folder: 'string', modified: 'number' })
/** An id has 1,024 bytes at most: longer names are hashed. */
const MOST_NAME_BYTES = 900

/**
 * @typedef {{ file: string, folder: string, line: number, text: string, modified: number, bytes: number }} Passage
 * `bytes`: of its file
 */

/**
 * Chooses passages by where they are and when they were changed.
 * @param {string | undefined} folder @param {number | undefined} since
 * @returns {import('zgq').Filter}
 */
export function filterOf(folder, since) {
  return {
    ...(folder ? { $or: [{ folder }, { folder: { $startsWith: `${folder}/` } }] } : {}),
    ...(since ? { modified: { $gte: since } } : {})
  }
}

/**
 * @param {string} file @param {{ modified: number, bytes: number }} stat
 * @param {{ line: number, text: string }[]} passages
 * @returns {Passage[]}
 */
export function payloadsOf(file, { modified, bytes }, passages) {
  return passages.map((passage) => ({ file, folder: folderOf(file), modified, bytes, ...passage }))
}

/** Names a passage: by its file, and its number there. @param {string} file @param {number} number */
export function idOf(file, number) {
  const name = Buffer.byteLength(file) > MOST_NAME_BYTES ? createHash('sha256').update(file).digest('hex') : file
  return `${name}#${number}`
}

/** Tells a file that was saved from what it was before. @param {{ modified: number, bytes: number }} file */
export function stampOf({ modified, bytes }) {
  return `${modified} ${bytes}`
}

/** The folder of a file, '' for the one that was chosen. @param {string} file */
function folderOf(file) {
  const folder = dirname(file).split(sep).join('/')
  return folder === '.' ? '' : folder
}
