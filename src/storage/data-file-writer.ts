// The end of writing a data file: its header, which says what all of it is, then sync.

import { encodeHeader, HEADER, type HeaderFacts } from '../format/header.ts'
import type { FileRecord } from '../format/file-record.ts'
import type { Metric } from '../types.ts'
import type { FileWriter } from './file-writer.ts'

/** Facts that all files of a generation share. */
export interface GenerationFacts {
  readonly folder: string
  readonly indexId: Uint8Array
  readonly generation: number
  readonly dim: number
  readonly metric: Metric
}

/** Writes the header, syncs and closes the file; returns its record, with the shard for its number. */
export function completeFile(file: FileWriter, facts: Omit<HeaderFacts, 'fileByteLength'>): FileRecord {
  const { kind, generation, shard, segmentCount, rowCount } = facts
  const header = encodeHeader({ ...facts, fileByteLength: file.byteLength })
  file.writeAt(0, header)
  file.sync()
  file.close()
  return {
    file: shard,
    kind,
    generation,
    shard,
    byteLength: file.byteLength,
    headerCrc: HEADER.decode(header, 0, file.path).crc,
    segmentCount,
    rowCount
  }
}
