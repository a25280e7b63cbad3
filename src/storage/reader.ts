// The seam between an index and the bytes of its files. Readers copy; none hands out mapped memory
// (Electron forbids ArrayBuffers over foreign memory, and WebAssembly sees only its own).

import type { Extent } from '../format/layout.ts'
import type { ReaderKind } from '../types.ts'

/** A data file of an index; in a packed index of one file it is a part of that. Offsets count from its start. */
export interface DataFile {
  /** As errors say it. */
  readonly path: string
  /** Where it is opened, whatever the working folder is by then; undefined: at `path`. */
  readonly absolutePath?: string
  readonly byteLength: number
  /** Where it begins in what is opened; undefined: with it. */
  readonly start?: number
  /** Of what is opened; undefined: `byteLength`. */
  readonly wholeByteLength?: number
  /** Tells the file from another one under its name; undefined: not known. */
  readonly identity?: string
}

/** The data files of an index by their numbers. */
export type DataFiles = ReadonlyMap<number, DataFile>

/** Returns the file of a number; the catalogue names no other. */
export function fileOf(files: DataFiles, file: number): DataFile {
  const found = files.get(file)
  if (found === undefined) throw new TypeError(`there is no file ${file}`)
  return found
}

/** A range of bytes of the file with number `file`. */
export interface FileRange extends Extent {
  readonly file: number
}

export interface Reader {
  readonly kind: ReaderKind
  /** Copies `target.byteLength` bytes at `offset` of a file into `target`; throws ZGQ_TRUNCATED or ZGQ_IO. */
  read(file: number, offset: number, target: Uint8Array): void
  /** Asks the system to read these ranges at once, before the first of them is needed. Never fails. */
  prefetch(ranges: readonly FileRange[]): void
  /** Takes other files: closes those that are not among them, opens those that are new. */
  replaceFiles(files: DataFiles): void
  /** Idempotent. */
  close(): void
}
