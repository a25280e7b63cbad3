// Reads an ids file whole and holds its pages against each other, without keeping them. For checks, and for opening
// with verify: 'open'.

import { ZgqError } from '../errors.ts'
import { bytesOfPage, ENTRY_WORDS, entriesFollow, idPage, verifyIdPage, type IdPagesFile } from '../format/id-pages.ts'
import { entriesIn, firstChildOf, type IdLevel } from '../format/id-tree.ts'
import { PAGE_BYTES } from '../format/layout.ts'
import type { Reader } from './reader.ts'

/** An ids file that is read. */
export interface IdsToVerify extends IdPagesFile {
  readonly file: number
  readonly reader: Pick<Reader, 'read'>
}

/**
 * Verifies all pages: each by itself, the order of the leaves, and that every page leads to the hashes that it says.
 * `take` gets the entries of each leaf, four words each; good until it returns. Returns how many pages there are.
 * Throws ZGQ_CORRUPT, ZGQ_TRUNCATED or ZGQ_IO.
 */
export function verifyIds(ids: IdsToVerify, take: (entries: Uint32Array) => void = () => {}): number {
  const { levels, rootPage } = ids.tree
  const words = idPage()
  /** The first hashes of the pages of the level below, two words each. */
  let below = new Uint32Array(0)
  for (const [level, of] of levels.entries()) {
    const firsts = new Uint32Array(of.pageCount * 2)
    /** The last entry of the page before. */
    const last = new Uint32Array(ENTRY_WORDS)
    for (let page = of.firstPage; page < of.firstPage + of.pageCount; page++) {
      ids.reader.read(ids.file, page * PAGE_BYTES, bytesOfPage(words))
      verifyIdPage(words, page, { ...ids, verifiesChecksum: true })
      const entries = words.subarray(0, entriesIn(of, page) * ENTRY_WORDS)
      if (level > 0) expectHashes(entries, { ids, page, level, below })
      else if (page > of.firstPage && !entriesFollow(last, entries))
        throw damage(ids, page, 'begins below the end of the page before it')
      firsts.set(entries.subarray(0, 2), (page - of.firstPage) * 2)
      last.set(entries.subarray(entries.length - ENTRY_WORDS))
      if (level === 0) take(entries)
    }
    below = firsts
  }
  return rootPage
}

/** Expects in an inner page the hashes that its pages begin with: their order is that of the leaves then. */
function expectHashes(
  entries: Uint32Array,
  of: { readonly ids: IdsToVerify; readonly page: number; readonly level: number; readonly below: Uint32Array }
): void {
  const { ids, page, level, below } = of
  const children: IdLevel = ids.tree.levels[level - 1]
  const firstChild = firstChildOf(ids.tree, level, page)
  for (let i = 0; i * ENTRY_WORDS < entries.length; i++) {
    const at = (firstChild + i - children.firstPage) * 2
    if (entries[i * ENTRY_WORDS] !== below[at] || entries[i * ENTRY_WORDS + 1] !== below[at + 1])
      throw damage(ids, page, `has another hash for page ${firstChild + i} than that page begins with`)
  }
}

function damage(ids: IdsToVerify, page: number, what: string): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', `page ${page} of the ids ${what}`, { path: ids.path, offset: page * PAGE_BYTES })
}
