// Opens the rows and ids of a build, in every thread and process of it, and checks rows. read-input.ts prepares them.

import { extname, join } from 'node:path'

import { ZgqError } from '../errors.ts'
import { SPOOLED_IDS, SPOOLED_ROWS, type Site } from './site.ts'
import { openIdFile } from '../input/id-file.ts'
import type { IdSource, RowSource } from '../input/row-source.ts'
import { openRawIds, openRawRows } from '../input/spool.ts'
import { openParquetRows } from '../input/parquet-row-source.ts'
import { openVectorFile } from '../input/vector-file.ts'

export interface BuildInput {
  readonly rows: RowSource
  /** What parts of the input carry: ids, or numbers of rows where documents are looked up by them. */
  readonly ids: IdSource
  close(): void
}

/** Files that take the place of those that a site names: what of them a task reads was brought to this machine. */
export interface BroughtFiles {
  readonly rows?: string | undefined
  readonly ids?: string | undefined
}

/**
 * Opens the input of a site: the caller's files, or what was spooled. Rejects with ZGQ_BUILD_INPUT and as the sources
 * do.
 */
export async function openStoredInput(site: Site, brought: BroughtFiles = {}): Promise<BuildInput> {
  const { recipe } = site
  const rows = await openRows(site, brought.rows)
  try {
    const ids =
      recipe.documents === null
        ? openedWhenRead(site, () => openStoredIds(site, brought.ids))
        : rowNumbers(recipe.count)
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

async function openRows(site: Site, brought: string | undefined): Promise<RowSource> {
  const { rows, dim, count, label } = site.recipe
  const path = brought ?? (rows === 'file' ? site.inputPath : undefined)
  if (rows !== 'file') return openRawRows(path ?? join(site.spoolPath, SPOOLED_ROWS), { dim, count, label })
  if (path === undefined) throw new Error('rows are read from a file, and no file is named')
  return isParquet(path) ? await openParquetRows(path, { column: site.inputColumn }) : openVectorFile(path)
}

/** Whether a file is Parquet, by its ending. */
export function isParquet(path: string): boolean {
  return extname(path).toLowerCase() === '.parquet'
}

/** Opens integer ids, as they were given; `brought` takes the place of the file that has them. */
export function openStoredIds(site: Site, brought?: string): IdSource {
  const { ids, count, label } = site.recipe
  if (ids === 'counted') return rowNumbers(count)
  return site.idsPath !== undefined && ids === 'file'
    ? openIdFile(brought ?? site.idsPath)
    : openRawIds(brought ?? join(site.spoolPath, SPOOLED_IDS), { count, label })
}

/** Ids whose file need not be there before they are read: tasks that read rows alone were not brought any. */
function openedWhenRead({ recipe }: Site, open: () => IdSource): IdSource {
  let opened: IdSource | undefined
  return {
    count: recipe.count,
    label: recipe.label,
    readIds(firstRow, target) {
      opened ??= open()
      opened.readIds(firstRow, target)
    },
    close() {
      opened?.close()
    }
  }
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
