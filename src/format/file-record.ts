// The record of a data file in the catalogue (spec, section 7.2): what its header must say. No I/O.

import { ZgqError } from '../errors.ts'
import { dataFileName, PAGE_BYTES } from './layout.ts'
import { FILE_KIND_NAMES, FILE_KINDS, fileKindOf, type FileKind } from './kinds.ts'
import { struct } from './struct.ts'

export const FILE_RECORD = struct(64, {
  file: { offset: 0, type: 'u64' },
  kind: { offset: 8, type: 'u32' },
  headerCrc: { offset: 12, type: 'u32' },
  generation: { offset: 16, type: 'u64' },
  shard: { offset: 24, type: 'u64' },
  byteLength: { offset: 32, type: 'u64' },
  segmentCount: { offset: 40, type: 'u64' },
  rowCount: { offset: 48, type: 'u64' },
  reserved: { offset: 56, type: 'u64' }
})

/** A data file, by its number in the catalogue, which is never given again. */
export interface FileRecord {
  readonly file: number
  readonly kind: FileKind
  readonly headerCrc: number
  readonly generation: number
  /** Number among the files of its kind and generation. */
  readonly shard: number
  readonly byteLength: number
  /** Segments that were written to it, though some may have been superseded since, and their rows. */
  readonly segmentCount: number
  readonly rowCount: number
}

/** The name of the file in the folder of the index. */
export function fileNameOf(file: Pick<FileRecord, 'kind' | 'generation' | 'shard'>): string {
  return dataFileName(file.kind, file.generation, file.shard)
}

/** Reads the name of a data file; undefined: it is none. */
export function parseFileName(name: string): Pick<FileRecord, 'kind' | 'generation' | 'shard'> | undefined {
  const [, kindName, ...numbers] = /^([a-z]+)-(\d{6,16})-(\d{5,16})\.zgq$/.exec(name) ?? []
  const kind = FILE_KIND_NAMES.find((known) => known === kindName)
  if (kind === undefined) return undefined
  const [generation, shard] = numbers.map(Number)
  return dataFileName(kind, generation, shard) === name ? { kind, generation, shard } : undefined
}

export function encodeFileRecords(files: readonly FileRecord[]): Uint8Array {
  const bytes = new Uint8Array(files.length * FILE_RECORD.byteLength)
  files.forEach((file, i) => {
    const record = { ...file, kind: FILE_KINDS[file.kind].code, reserved: 0 }
    FILE_RECORD.encode(record, bytes, i * FILE_RECORD.byteLength)
  })
  return bytes
}

/** Decodes records whose checksum was verified; throws ZGQ_CORRUPT, or ZGQ_UNSUPPORTED for an unknown kind. */
export function decodeFileRecords(bytes: Uint8Array, path: string): FileRecord[] {
  return Array.from({ length: bytes.byteLength / FILE_RECORD.byteLength }, (_, i) => {
    const { kind: code, reserved: _reserved, ...record } = FILE_RECORD.decode(bytes, i * FILE_RECORD.byteLength, path)
    const kind = fileKindOf(code)
    if (kind === undefined)
      throw new ZgqError('ZGQ_UNSUPPORTED', `this index needs a newer version of zgq: files of kind ${code}`, { path })
    if (record.byteLength < PAGE_BYTES)
      throw new ZgqError('ZGQ_CORRUPT', `file ${record.file} has ${record.byteLength} bytes, less than its header`, {
        path
      })
    return { ...record, kind }
  })
}
