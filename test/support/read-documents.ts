// Runs the first stage of a build and gives out the documents that it spooled.

import { checkBuildOptions, type BuildOptions } from '../../src/build/build-options.ts'
import { openDocuments, type Documents } from '../../src/build/documents.ts'
import { readInput } from '../../src/build/read-input.ts'
import type { Site } from '../../src/build/site.ts'
import { WorkingFolder } from '../../src/build/working-folder.ts'
import { decodePayload } from '../../src/format/payload.ts'
import type { FieldValue } from '../../src/types.ts'

/** What was read, row by row. */
export interface ReadDocuments {
  readonly site: Site
  readonly isBegun: boolean
  readonly ids: (number | string)[]
  readonly payloads: Record<string, unknown>[]
  readonly fields: (FieldValue | undefined)[][]
}

/** Reads the input of a build; what was spooled stays in `output`.building. Rejects as the build would. */
export async function readDocuments(options: BuildOptions): Promise<ReadDocuments> {
  const plan = checkBuildOptions(options)
  const folder = WorkingFolder.take(plan.output, false)
  try {
    const { site, isBegun } = await readInput(plan, folder, { isDurable: false, isShared: false })
    const documents = openDocuments(site)
    if (documents === undefined) return { site, isBegun, ids: [], payloads: [], fields: [] }
    try {
      return { site, isBegun, ...gather(documents, site) }
    } finally {
      documents.close()
    }
  } finally {
    folder.leave()
  }
}

function gather(documents: Documents, site: Site): Pick<ReadDocuments, 'ids' | 'payloads' | 'fields'> {
  const rows = Array.from({ length: site.recipe.count }, (_, row) => row)
  const hasPayloads = site.recipe.documents?.hasPayloads === true
  return {
    ids:
      documents.idType === 'string'
        ? documents.ids(rows).map((id) => Buffer.from(id).toString('utf8'))
        : [...documents.ids(rows)],
    payloads: hasPayloads ? rows.map((row) => decodePayload(documents.payload(row), {})) : [],
    fields: [...documents.fieldValuesOf(rows)]
  }
}
