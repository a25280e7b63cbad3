// Opens the files of a snapshot, and starts what a search works with over them (start-context.ts).

import type { Snapshot } from '../catalogue/snapshot.ts'
import { checkHeaders, findDataFiles } from '../storage/data-files.ts'
import { openReaders, type Readers } from '../storage/open-readers.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'
import { verifyDocuments } from '../storage/verify-documents.ts'
import { verifySegment } from '../storage/verify-segment.ts'
import type { Mapping } from '../types.ts'
import type { SearchContext } from './search-context.ts'
import { openSegmentFiles, startContext, type ContextOptions } from './start-context.ts'

/** Options of `ZgqIndex.open` with defaults filled in. */
export interface CheckedOpenOptions extends ContextOptions {
  readonly mapping: Mapping
}

export interface OpenedContext {
  readonly snapshot: Snapshot
  readonly readers: Readers
  readonly context: SearchContext
  readonly options: CheckedOpenOptions
}

/** Opens the files of a snapshot; throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_MISMATCH, ZGQ_UNSUPPORTED or ZGQ_IO. */
export function openContext(snapshot: Snapshot, options: CheckedOpenOptions): OpenedContext {
  return withReaders(snapshot, options, (of) => {
    if (options.verify === 'open') {
      for (const segment of snapshot.segments) verifySegment(segment, of.files, snapshot)
      verifyDocuments(snapshot, of)
    }
    return { snapshot, readers: of.readers, context: startContext(snapshot, { ...of, options }), options }
  })
}

/** What reads the files of a context. */
interface OpenFiles {
  readonly readers: Readers
  readonly files: SegmentFiles
}

/** Opens readers for what `start` makes, and closes them where it throws. */
export function withReaders(
  snapshot: Snapshot,
  options: CheckedOpenOptions,
  start: (of: OpenFiles) => OpenedContext
): OpenedContext {
  const files = findDataFiles(snapshot)
  const readers = openReaders(snapshot.folder, files, options.mapping)
  try {
    checkHeaders(snapshot, files, readers.fresh)
    return start({ readers, files: openSegmentFiles(snapshot, { readers, files, options }) })
  } catch (error) {
    readers.close()
    throw error
  }
}
