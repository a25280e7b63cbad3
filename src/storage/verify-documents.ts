// Verifies what rows have besides vectors, without keeping anything: ids, fields, payloads, and the ids files. For
// opening with verify: 'open'; a check holds them against each other, too.

import { idTree } from '../format/id-tree.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { DocumentFiles } from './document-files.ts'
import type { Readers } from './open-readers.ts'
import { fileOf } from './reader.ts'
import type { SegmentFiles } from './segment-files.ts'
import { verifyIds, type IdsToVerify } from './verify-ids.ts'

/** Throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED or ZGQ_IO. */
export function verifyDocuments(
  snapshot: Snapshot,
  of: { readonly readers: Readers; readonly files: SegmentFiles }
): void {
  const documents = new DocumentFiles(snapshot, of, { verify: 'open', cacheBytes: 0 })
  for (const segment of snapshot.segments) {
    if (snapshot.meta.idType === 'string') documents.idOf({ segment, row: 0 })
    for (const field of snapshot.fields) documents.fieldOf(segment, field)
    documents.eachPayload(segment, () => undefined)
  }
  for (const ids of idsToVerify(snapshot, of.readers)) verifyIds(ids)
}

/** The ids files of an index. */
export function idsToVerify({ files, meta }: Snapshot, readers: Readers): IdsToVerify[] {
  const { indexId } = meta
  return files
    .filter(({ kind }) => kind === 'ids')
    .map(({ file, rowCount }) => {
      const { path } = fileOf(readers.files, file)
      return { file, path, indexId, tree: idTree(rowCount), reader: readers.fresh }
    })
}
