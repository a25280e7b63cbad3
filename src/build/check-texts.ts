// Finds duplicate string ids, in bounded memory: by their hashes, as many at a time as fit, and then by their bytes.

import { ZgqError } from '../errors.ts'
import { describe } from '../describe.ts'
import { hashText, idHash } from '../format/id-hash.ts'
import { compareStringIds } from '../format/string-ids.ts'
import { joinU64 } from '../format/u64.ts'
import type { BlobSpool } from '../input/blob-spool.ts'

/** Hashes that stand more than once and are looked into at a time. */
const MOST_SUSPECTS = 1024
/** Bits of the high word that are kept: a hash is then a safe integer. */
const HIGH_MASK = 2 ** 21 - 1

/**
 * Throws ZGQ_ID_EXISTS naming the id and two of its rows. Reads ascending ids once, others once more for every
 * `idsInMemory` of them. `label` names the input.
 */
export function checkUniqueTexts(ids: BlobSpool, idsInMemory: number, label: string): void {
  if (areAscending(ids)) return
  const passes = Math.max(1, Math.ceil(ids.count / idsInMemory))
  for (let pass = 0; pass < passes; pass++) {
    const suspects = repeatedHashes(ids, { pass, passes })
    for (let first = 0; first < suspects.length; first += MOST_SUSPECTS)
      checkSuspects(ids, new Set(suspects.subarray(first, first + MOST_SUSPECTS)), label)
  }
}

function areAscending(ids: BlobSpool): boolean {
  let last: Uint8Array = new Uint8Array(0)
  for (const id of ids.readAll()) {
    if (compareStringIds(last, id) >= 0) return false
    last = id
  }
  return true
}

/** Hashes of a pass that stand more than once, ascending. A hash belongs to one pass. */
function repeatedHashes(ids: BlobSpool, of: { pass: number; passes: number }): Float64Array {
  let kept = new Float64Array(Math.min(ids.count, Math.ceil((ids.count / of.passes) * 1.05) + 1024))
  let size = 0
  for (const { hash } of hashesOf(ids)) {
    if (hash % of.passes !== of.pass) continue
    if (size === kept.length) {
      const larger = new Float64Array(Math.ceil(size * 1.25))
      larger.set(kept)
      kept = larger
    }
    kept[size++] = hash
  }
  const sorted = kept.subarray(0, size).sort()
  // Kept at the front of the same array: where all ids stand twice, these are many, too.
  let count = 0
  for (let i = 1; i < sorted.length; i++)
    if (sorted[i] === sorted[i - 1] && (count === 0 || sorted[count - 1] !== sorted[i])) sorted[count++] = sorted[i]
  return sorted.subarray(0, count)
}

function* hashesOf(ids: BlobSpool): Generator<{ hash: number; id: Uint8Array }> {
  const words = idHash()
  for (const id of ids.readAll()) {
    hashText(id, words)
    yield { hash: joinU64(words[0], words[1] & HIGH_MASK), id }
  }
}

/** Compares the ids of some hashes by their bytes. */
function checkSuspects(ids: BlobSpool, suspects: ReadonlySet<number>, label: string): void {
  const rows = new Map<string, number>()
  let row = 0
  for (const { hash, id } of hashesOf(ids)) {
    if (suspects.has(hash)) {
      const text = Buffer.from(id).toString('utf8')
      const before = rows.get(text)
      if (before !== undefined)
        throw new ZgqError('ZGQ_ID_EXISTS', `duplicate id ${describe(text)} in ${label} (rows ${before} and ${row})`)
      rows.set(text, row)
    }
    row++
  }
}
