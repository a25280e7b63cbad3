// Kinds of files, of extents and of columns, each in one table (spec, sections 4, 7.2 and 7.3). What is reserved has
// its code here, so that no two uses can take it; this version neither writes nor reads it.

/** Data files: the code in catalogues, and the last byte of the magic. */
export const FILE_KINDS = {
  vectors: { code: 1, letter: 'V' },
  codes: { code: 2, letter: 'C' },
  fields: { code: 3, letter: 'F' },
  payload: { code: 4, letter: 'P' },
  ids: { code: 5, letter: 'I' },
  delta: { code: 6, letter: 'D' }
} as const

/** Kinds of files that this version reads and writes. */
export type FileKind = keyof typeof FILE_KINDS

/** With these the names of data files begin. */
export const FILE_KIND_NAMES = Object.keys(FILE_KINDS) as readonly FileKind[]

/**
 * Extents of a segment, in the order of their places in its record, and the kind of file that each is in; a delta file
 * has extents of all kinds.
 */
export const EXTENT_KINDS = {
  rows: { file: 'vectors' },
  columns: { file: 'vectors' },
  codes: { file: 'codes' },
  fields: { file: 'fields' },
  payload: { file: 'payload' }
} as const

/** Extents that this version reads and writes. */
export type ExtentKind = keyof typeof EXTENT_KINDS

/** Columns, and the extents that may have them; none: reserved. */
export const COLUMN_KINDS = {
  ids: { code: 1, in: ['columns', 'codes'] },
  inverseNorms: { code: 2, in: ['columns'] },
  pageCrcs: { code: 3, in: ['columns', 'codes'] },
  stringIds: { code: 4, in: ['columns'] },
  planes: { code: 16, in: ['codes'] },
  refinedCodes: { code: 17, in: ['codes'] },
  blockCentroids: { code: 18, in: [] },
  rowReferences: { code: 19, in: [] },
  fieldNumbers: { code: 32, in: ['fields'] },
  fieldBits: { code: 33, in: ['fields'] },
  fieldPresence: { code: 34, in: ['fields'] },
  fieldStrings: { code: 35, in: ['fields'] },
  fieldLists: { code: 36, in: ['fields'] },
  fieldDictionary: { code: 37, in: ['fields'] },
  payloadOffsets: { code: 48, in: ['payload'] },
  rowCrcs: { code: 49, in: ['payload'] },
  payloads: { code: 50, in: ['payload'] }
} as const satisfies Readonly<Record<string, { code: number; in: readonly ExtentKind[] }>>

/** Returns the name of a kind of file by its code; undefined: this version does not read it. */
export function fileKindOf(code: number): FileKind | undefined {
  return FILE_KIND_NAMES.find((name) => FILE_KINDS[name].code === code)
}
