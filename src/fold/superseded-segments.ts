// Which segments the files of a step replace, for whoever has no catalogue (spec, section 5): those that the step takes
// out, and those that the files that go with them had replaced, as long as a file that stays holds one.

import { ZgqError } from '../errors.ts'
import {
  decodeFooter,
  decodeSuperseded,
  directoryBytes,
  directoryRecordBytes,
  FOOTER,
  type Footer
} from '../format/directory.ts'
import { fileNameOf, type FileRecord } from '../format/file-record.ts'
import { PAGE_BYTES } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import { u64At } from '../format/u64.ts'
import type { OpenIndex } from '../search/open-index.ts'
import { neededFiles } from './folded-index.ts'

/** Returns their numbers, ascending. Throws as reads do. */
export function supersededSegments(index: OpenIndex, removed: readonly number[]): number[] {
  const { files, segments } = index.snapshot
  const gone = new Set(removed)
  const stay = [...segments].filter(({ segment }: Segment) => !gone.has(segment))
  const needed = new Set(neededFiles(files, stay).map(({ file }) => file))
  const found = new Set(removed)
  const before = files.flatMap((file) =>
    file.kind === 'vectors' && !needed.has(file.file) ? [...listOf(index, file)] : []
  )
  if (before.length > 0) {
    const held = new Set<number>()
    for (const file of files)
      if (needed.has(file.file) && (file.kind === 'vectors' || file.kind === 'delta'))
        for (const number of numbersIn(index, file)) held.add(number)
    for (const number of before) if (held.has(number)) found.add(number)
  }
  return [...found].sort((a, b) => a - b)
}

function read(
  { readers }: OpenIndex,
  file: number,
  at: { readonly offset: number; readonly byteLength: number }
): Uint8Array {
  const bytes = new Uint8Array(at.byteLength)
  readers.readFresh(file, at.offset, bytes)
  return bytes
}

function footerOf(index: OpenIndex, record: FileRecord): Footer {
  const offset = record.byteLength - FOOTER.byteLength
  const bytes = read(index, record.file, { offset, byteLength: FOOTER.byteLength })
  const kind = record.kind === 'delta' ? 'delta' : 'vectors'
  const place = { path: fileNameOf(record), offset }
  const footer = decodeFooter(bytes, kind, place)
  // Before anything is read by its numbers: whoever forges a file forges its checksums.
  const { directoryOffset, directoryByteLength } = footer
  const isSound =
    directoryByteLength === directoryBytes(index.snapshot.meta.dim, footer) &&
    directoryOffset >= PAGE_BYTES &&
    directoryOffset + directoryByteLength <= offset
  if (isSound) return footer
  throw new ZgqError('ZGQ_CORRUPT', `the footer says ${directoryByteLength} bytes of directory`, place)
}

/** Segments that a file says it replaces. */
function listOf(index: OpenIndex, record: FileRecord): Float64Array {
  const { directoryOffset, directoryByteLength, supersededCount } = footerOf(index, record)
  if (supersededCount === 0) return new Float64Array(0)
  const byteLength = supersededCount * 8
  const offset = directoryOffset + directoryByteLength - byteLength
  return decodeSuperseded(read(index, record.file, { offset, byteLength }))
}

/** Numbers of the segments that were written to a file. */
function numbersIn(index: OpenIndex, record: FileRecord): number[] {
  const { directoryOffset, segmentCount } = footerOf(index, record)
  const recordBytes = directoryRecordBytes(index.snapshot.meta.dim)
  const bytes = read(index, record.file, { offset: directoryOffset, byteLength: segmentCount * recordBytes })
  const words = new Uint32Array(bytes.buffer)
  return Array.from({ length: segmentCount }, (_, i) => u64At(words, (i * recordBytes) / 8))
}
