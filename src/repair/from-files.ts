// What is left of an index whose catalogue cannot be read: vectors and delta files stand alone, by their directories;
// codes, fields and payloads are found one after the other, each extent saying whose it is.

import { COLUMN_KINDS } from '../format/kinds.ts'
import { CODE_BITS, refinedRowBytes } from '../format/codes.ts'
import type { DeclaredField } from '../format/fields.ts'
import { alignUp, PAGE_BYTES } from '../format/layout.ts'
import type { FileExtent, SegmentRecord } from '../format/segment-record.ts'
import type { IdType } from '../types.ts'
import { findFiles, type FoundFiles, type NamedFile } from './find-files.ts'
import type { Losses } from './losses.ts'
import type { Remains } from './remains.ts'
import { readDirectory, type Directory, type StandingFile } from './stand-alone.ts'
import { readExtent, walkExtents, type FoundExtent } from './walk-extents.ts'

const ONLY_IN_CATALOGUE =
  'declared fields, the model and the note were in the catalogue alone; the option fields declares fields anew'

/** A segment with what was found of it so far. */
type Found = { -readonly [Name in keyof SegmentRecord]: SegmentRecord[Name] }

/** Looks through the data files in a folder; undefined: none of an index is there. Its caller closes the files. */
export function remainsByFiles(
  folder: string,
  of: { readonly fields: readonly DeclaredField[]; readonly losses: Losses }
): Remains | undefined {
  const { fields, losses } = of
  const found = findFiles(folder, losses)
  if (found === undefined) return undefined
  const { files, dim, metric } = found
  try {
    const search = new SegmentSearch(found, losses)
    const segments = search.segments()
    const bits = search.attachExtents()
    const notes = [ONLY_IN_CATALOGUE, ...search.notes]
    return {
      folder,
      meta: { dim, metric, bits, idType: search.idType },
      files,
      segments,
      rowCount: segments.reduce((sum, { rowCount }) => sum + rowCount, 0),
      deleted: new Map(),
      patches: new Map(),
      fresh: [],
      hasPayloads: fields.length > 0 || segments.some(({ payload }) => payload.byteLength > 0),
      fields,
      hadFields: false,
      model: undefined,
      note: undefined,
      seed: 1,
      hasOlderRows: true,
      notes
    }
  } catch (error) {
    files.close()
    throw error
  }
}

class SegmentSearch {
  readonly #found: FoundFiles
  /** By file. */
  readonly #generations: ReadonlyMap<number, number>
  readonly #losses: Losses
  readonly #directories = new Map<number, Directory>()
  readonly #segments = new Map<number, Found>()
  /** Extents that were found behind damage: another one takes their place. */
  readonly #doubtful = new Set<string>()
  /** Rows of segments that have extents and no rows. */
  readonly #missing = new Map<number, FoundExtent>()
  #superseded = new Set<number>()
  #bits = 0

  constructor(found: FoundFiles, losses: Losses) {
    this.#found = found
    this.#generations = new Map(found.named.map(({ file, generation }) => [file, generation]))
    this.#losses = losses
  }

  /** Finds the segments, the newest first: no later file says of one that it was superseded. */
  segments(): readonly SegmentRecord[] {
    const { files, named, dim } = this.#found
    for (const file of named)
      if (isStanding(file)) {
        const directory = readDirectory(file, { files, losses: this.#losses, dim })
        if (directory !== undefined) this.#directories.set(file.file, directory)
      }
    const generations = Array.from(new Set(named.map(({ generation }) => generation))) // newest first
    for (const generation of generations) {
      const own = named.filter((file) => file.generation === generation && isStanding(file))
      for (const { file } of own) for (const segment of this.#directories.get(file)?.segments ?? []) this.#take(segment)
      // What replaces older segments must be whole: of a fold that died, or lost a file, they may be all that is left.
      if (!this.#isComplete(own)) continue
      for (const { file } of own)
        for (const segment of this.#directories.get(file)?.superseded ?? []) this.#superseded.add(segment)
    }
    return Array.from(this.#segments.values()).sort(
      (a, b) => this.#generationOf(b) - this.#generationOf(a) || b.segment - a.segment
    )
  }

  #take(segment: SegmentRecord): void {
    if (this.#superseded.has(segment.segment) || this.#segments.has(segment.segment)) return
    this.#segments.set(segment.segment, { ...segment })
  }

  #generationOf({ rows }: SegmentRecord): number {
    return this.#generations.get(rows.file) ?? 0
  }

  #isComplete(own: readonly NamedFile[]): boolean {
    const vectors = own.filter(({ kind }) => kind === 'vectors')
    return vectors.every(({ file, shard }, i) => shard === i && this.#directories.has(file))
  }

  /** Finds extents of segments beside their rows; returns how many bits codes have. */
  attachExtents(): number {
    const { files, named } = this.#found
    for (const file of named) {
      for (const range of this.#rangesOf(file)) {
        const onDamage = (offset: number): void => {
          this.#losses.note(
            files.pathOf(file.file),
            offset,
            'an extent of a segment is damaged, or what it begins with'
          )
        }
        for (const extent of walkExtents(files, range, onDamage)) this.#attach(extent)
      }
    }
    for (const { segment, rowCount, file } of this.#missing.values()) this.#noteMissing(segment, rowCount, file)
    return this.#bits
  }

  /** Where extents stand beside rows: in files of their own from the header on, in a delta behind the columns. */
  #rangesOf({ file, kind }: NamedFile): { file: number; from: number; to: number }[] {
    const { files } = this.#found
    if (kind === 'codes' || kind === 'fields' || kind === 'payload')
      return [{ file, from: PAGE_BYTES, to: files.byteLengthOf(file) }]
    const directory = kind === 'delta' ? this.#directories.get(file) : undefined
    return (directory?.segments ?? []).map(({ columns }, i, all) => {
      const from = alignUp(columns.offset + columns.byteLength, PAGE_BYTES)
      return { file, from, to: all.at(i + 1)?.rows.offset ?? directory?.offset ?? from }
    })
  }

  #attach(extent: FoundExtent): void {
    const { kind, segment, rowCount, isInOrder } = extent
    if (kind === 'columns') return
    const found = this.#segments.get(segment)
    if (found === undefined) {
      if (isInOrder && !this.#superseded.has(segment)) this.#missing.set(segment, extent)
      return
    }
    if (found.rowCount !== rowCount) return
    const before = found[kind]
    const isDoubtful = this.#doubtful.has(placeOf(before))
    if (before.byteLength > 0 && !(isDoubtful && isInOrder)) return
    const { file, offset, byteLength, crc } = extent
    found[kind] = { file, offset, byteLength, crc }
    if (!isInOrder) this.#doubtful.add(placeOf(extent))
    if (kind === 'codes' && this.#bits === 0) this.#bits = bitsOf(extent, this.#found.dim)
  }

  /** After a fold they may be segments that it replaced, whose rows went with their file. */
  #noteMissing(segment: number, rowCount: number, file: number): void {
    const path = this.#found.files.pathOf(file)
    this.#losses.note(path, null, `segment ${segment} has ${rowCount} rows, which are in no file`)
    const hasFolds = this.#found.named.some(({ kind, generation }) => kind === 'vectors' && generation > 1)
    if (!hasFolds) this.#losses.loseRows(rowCount, { segment, path })
  }

  /** By the columns beside rows. */
  get idType(): IdType {
    const { files } = this.#found
    for (const { columns } of this.#segments.values()) {
      const { file, offset, byteLength, crc } = columns
      const found = readExtent(files, { file, from: offset, to: offset + byteLength })
      if (found?.crc !== crc) continue
      return found.columns.has(COLUMN_KINDS.stringIds.code) ? 'string' : 'integer'
    }
    return 'integer'
  }

  get notes(): string[] {
    const hasCodes = this.#bits > 0 || !this.#found.named.some(({ kind }) => kind === 'codes')
    return hasCodes ? [] : ['no codes can be read: the new index has none']
  }
}

function placeOf({ file, offset }: FileExtent): string {
  return `${file}:${offset}`
}

function isStanding(file: NamedFile): file is NamedFile & StandingFile {
  return file.kind === 'vectors' || file.kind === 'delta'
}

/** Tells the bits of codes by the length of their column. */
function bitsOf({ columns, rowCount }: FoundExtent, dim: number): number {
  const byteLength = columns.get(COLUMN_KINDS.refinedCodes.code)
  if (byteLength === undefined) return 1
  return CODE_BITS.find((bits) => bits > 1 && refinedRowBytes(dim, bits) * rowCount === byteLength) ?? 1
}
