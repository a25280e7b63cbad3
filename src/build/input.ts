// Opens the rows and ids of a build, in every thread and process of it, and checks rows. read-input.ts prepares them.

import { join } from 'node:path'

import { ZgqError } from '../errors.ts'
import { SPOOLED_IDS, SPOOLED_ROWS, type Site } from './site.ts'
import { openIdFile } from '../input/id-file.ts'
import type { IdSource, RowSource } from '../input/row-source.ts'
import { openRawIds, openRawRows } from '../input/spool.ts'
import { openVectorFile } from '../input/vector-file.ts'

export interface BuildInput {
  readonly rows: RowSource
  /** What parts of the input carry: ids, or numbers of rows where documents are looked up by them. */
  readonly ids: IdSource
  close(): void
}

/**
 * Opens the input of a site: the caller's files, or what was spooled. Throws ZGQ_BUILD_INPUT and what the sources
 * throw.
 */
export function openStoredInput(site: Site): BuildInput {
  const { recipe } = site
  const rows =
    site.inputPath !== undefined && recipe.rows === 'file'
      ? openVectorFile(site.inputPath)
      : openRawRows(join(site.spoolPath, SPOOLED_ROWS), { dim: recipe.dim, count: recipe.count, label: recipe.label })
  try {
    const ids = recipe.documents === null ? openStoredIds(site) : rowNumbers(recipe.count)
    const close = (): void => {
      rows.close()
      ids.close()
    }
    return { rows, ids, close }
  } catch (error) {
    rows.close()
    throw error
  }
}

/** Opens integer ids, as they were given. */
export function openStoredIds(site: Site): IdSource {
  const { ids, count, label } = site.recipe
  if (ids === 'counted') return rowNumbers(count)
  return site.idsPath !== undefined && ids === 'file'
    ? openIdFile(site.idsPath)
    : openRawIds(join(site.spoolPath, SPOOLED_IDS), { count, label })
}

/** Numbers of rows in the place of ids. */
export function rowNumbers(count: number): IdSource {
  return {
    count,
    label: 'row numbers',
    readIds(firstRow, target) {
      for (let i = 0; i < target.length; i++) target[i] = firstRow + i
    },
    close: () => undefined
  }
}

/**
 * Throws ZGQ_NON_FINITE or, for cosine, ZGQ_ZERO_VECTOR, naming the row. `rows` starts at row `firstRow` of the input.
 */
export function checkRows(
  rows: Float32Array,
  firstRow: number,
  like: { dim: number; metric: string; label: string }
): void {
  const { dim, metric, label } = like
  for (let start = 0; start < rows.length; start += dim) {
    let isZero = true
    for (let i = start; i < start + dim; i++) {
      const value = rows[i]
      // NaN and infinities are the values whose difference with themselves is not zero.
      if (value - value !== 0)
        throw new ZgqError(
          'ZGQ_NON_FINITE',
          `row ${firstRow + start / dim} of ${label} holds ${value} at position ${i - start}`
        )
      if (value !== 0) isZero = false
    }
    if (isZero && metric === 'cosine') {
      throw new ZgqError(
        'ZGQ_ZERO_VECTOR',
        `row ${firstRow + start / dim} of ${label} has length zero: cosine cannot compare it`
      )
    }
  }
}
