// The shape of an ids file (spec, section 4.1): which page is of which level, and how many entries it has. It follows
// from the number of entries alone. Pages are numbered from the start of the file, the header being page 0.

import { PAGE_BYTES } from './layout.ts'

/** Entries that fill a page. */
export const ENTRIES_PER_PAGE = 255

/** Pages of one level, which follow each other. */
export interface IdLevel {
  readonly firstPage: number
  readonly pageCount: number
  /** Entries of all its pages together; all but the last page are full. */
  readonly entryCount: number
}

/** The shape of the tree over some entries. */
export interface IdTree {
  readonly rowCount: number
  /** Leaves first, the root last. */
  readonly levels: readonly IdLevel[]
  readonly rootPage: number
  /** Of the whole file, header included. */
  readonly byteLength: number
}

/** Returns the tree over `rowCount` entries, at least one: without entries there is no file. */
export function idTree(rowCount: number): IdTree {
  if (!(rowCount >= 1)) throw new RangeError(`a tree of ${rowCount} ids, expected at least 1`)
  const levels: IdLevel[] = []
  let firstPage = 1
  let entryCount = rowCount
  for (;;) {
    const pageCount = Math.ceil(entryCount / ENTRIES_PER_PAGE)
    levels.push({ firstPage, pageCount, entryCount })
    firstPage += pageCount
    if (pageCount === 1) break
    entryCount = pageCount
  }
  return { rowCount, levels, rootPage: firstPage - 1, byteLength: firstPage * PAGE_BYTES }
}

/** Returns the level of a page of the tree, 0 for leaves. */
export function levelOf(tree: IdTree, page: number): number {
  const level = tree.levels.findIndex(({ firstPage, pageCount }) => page >= firstPage && page < firstPage + pageCount)
  if (level === -1) throw new RangeError(`page ${page} of a tree whose last is page ${tree.rootPage}`)
  return level
}

/** Counts the entries of a page of a level. */
export function entriesIn({ firstPage, pageCount, entryCount }: IdLevel, page: number): number {
  return page < firstPage + pageCount - 1 ? ENTRIES_PER_PAGE : entryCount - (pageCount - 1) * ENTRIES_PER_PAGE
}

/** Returns the page that the first entry of an inner page leads to; those of the others follow it. */
export function firstChildOf(tree: IdTree, level: number, page: number): number {
  return tree.levels[level - 1].firstPage + (page - tree.levels[level].firstPage) * ENTRIES_PER_PAGE
}
