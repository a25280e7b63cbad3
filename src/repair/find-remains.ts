// Finds what is left of an index: by its catalogue, or without one where that is what is damaged.

import { statSync } from 'node:fs'
import { join } from 'node:path'

import { readCatalogue } from '../catalogue/reader.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { countOf } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import type { DeclaredField } from '../format/fields.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { remainsByCatalogue } from './from-catalogue.ts'
import { remainsByFiles } from './from-files.ts'
import { isDamage, messageOf, type Losses } from './losses.ts'
import type { Remains } from './remains.ts'

/** What is wanted where the catalogue cannot be read. */
export interface WithoutCatalogue {
  readonly acceptLoss: boolean
  readonly fields: readonly DeclaredField[]
}

/**
 * Goes by the catalogue, or without one. Throws ZGQ_CORRUPT where that loses what is not accepted; its caller closes
 * the files.
 */
export function findRemains(input: string, losses: Losses, { acceptLoss, fields }: WithoutCatalogue): Remains {
  let snapshot: Snapshot
  try {
    snapshot = readCatalogue(input)
  } catch (error) {
    if (!isDamage(error) || !isFolder(input)) throw error
    losses.note(join(input, CATALOGUE_NAME), null, messageOf(error))
    losses.hasCatalogue = false
    const remains = remainsByFiles(input, { fields, losses })
    if (remains === undefined) throw error
    if (acceptLoss) return remains
    remains.files.close()
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `the catalogue cannot be read: ${countOf(remains.rowCount, 'row')} in data files may be saved; rows, deletions ` +
        'and updates that it alone has, declared fields, the model and the note are lost with it. ' +
        'To go on without them set acceptLoss: true',
      { path: input, cause: error }
    )
  }
  return remainsByCatalogue(snapshot, losses)
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
