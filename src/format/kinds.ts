// Kinds of files, of extents and of columns, each in one table (spec, sections 4, 7.2 and 7.3). What is reserved has
// its code here, so that no two uses can take it; this version neither writes nor reads it.

/** Data files: the code in catalogues, the last byte of the magic, and whether this version reads them. */
export const FILE_KINDS = {
  vectors: { code: 1, letter: 'V', isKnown: true },
  codes: { code: 2, letter: 'C', isKnown: true },
  fields: { code: 3, letter: 'F', isKnown: true },
  payload: { code: 4, letter: 'P', isKnown: true },
  ids: { code: 5, letter: 'I', isKnown: true },
  delta: { code: 6, letter: 'D', isKnown: false }
} as const

/** Kinds of files that this version reads and writes. */
export type FileKind = KnownOf<typeof FILE_KINDS>

/** With these the names of data files begin. */
export const FILE_KIND_NAMES: readonly string[] = Object.keys(FILE_KINDS)

/** Extents of a segment, in the order of their places in its record, and the kind of file that each is in. */
export const EXTENT_KINDS = {
  rows: { file: 'vectors', isKnown: true },
  columns: { file: 'vectors', isKnown: true },
  codes: { file: 'codes', isKnown: true },
  fields: { file: 'fields', isKnown: true },
  payload: { file: 'payload', isKnown: true }
} as const

/** Extents that this version reads and writes. */
export type ExtentKind = KnownOf<typeof EXTENT_KINDS>

type KnownOf<T extends Readonly<Record<string, { readonly isKnown: boolean }>>> = {
  [K in keyof T]: T[K]['isKnown'] extends true ? K : never
}[keyof T]

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
  const names = Object.keys(FILE_KINDS) as (keyof typeof FILE_KINDS)[]
  return names.find((name): name is FileKind => FILE_KINDS[name].isKnown && FILE_KINDS[name].code === code)
}
