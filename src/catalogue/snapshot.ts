// The contents of the catalogue, as they were read when an index was opened.

import type { BuildFacts } from '../format/build-facts.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { FileRecord } from '../format/file-record.ts'
import type { IndexMeta } from '../format/index-record.ts'
import type { QuantizerMeta } from '../format/quantizer.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { Calibration } from '../types.ts'
import type { Changes } from './changes.ts'

/** What the file system says of a catalogue: it tells one state from another (catalogue-stamp.ts). */
export interface CatalogueStamp {
  /** Which file it is; empty: none that can be looked at. */
  readonly file: string
  /** Changes with the file and its log. */
  readonly text: string
  readonly hasLog: boolean
  /** The last change was so long ago that one more would look different. */
  readonly isSettled: boolean
}

/** Of a catalogue that is never looked at again. */
export const NO_STAMP: CatalogueStamp = { file: '', text: '', hasLog: false, isSettled: true }

/** A part of a packed index on disk, or its head. Offsets count from its start. */
export interface PartOnDisk {
  /** As errors say it. */
  readonly path: string
  /** Of the file that is opened. */
  readonly absolutePath: string
  readonly identity: string
  readonly wholeByteLength: number
  /** Where it begins in that file. */
  readonly start: number
  readonly byteLength: number
  /** SHA-256; of a head, of what it says. */
  readonly digest: Uint8Array
}

/** Where a packed index lies on disk, whatever the working folder is by now. */
export interface PackedOnDisk {
  readonly layout: 'file' | 'folder'
  readonly head: PartOnDisk
  readonly centroids: PartOnDisk
  /** Of data files, in the order of their numbers. */
  readonly parts: readonly PartOnDisk[]
  /** Of all of it. */
  readonly byteLength: number
}

/** All that a search needs to know of an index; nothing in it changes after open. */
export interface Snapshot {
  /** The folder that was opened. */
  readonly folder: string
  /** Undefined: an index with a catalogue, or a packed one that is read from elsewhere than a disk. */
  readonly packed?: PackedOnDisk | undefined
  /** As messages name the catalogue. */
  readonly cataloguePath: string
  /** Of the catalogue when it was read. */
  readonly stamp: CatalogueStamp
  readonly meta: IndexMeta
  /** By ascending number. */
  readonly files: readonly FileRecord[]
  readonly segments: SegmentTable
  /** The centroids of all zones, those of deltas after the others: float32, zones * dim. */
  readonly centroids: Float32Array
  /** One-bit codes of the centroids in blocks of 32; empty without codes. */
  readonly zoneCodes: Uint8Array
  /** Undefined without codes. */
  readonly quantizer: QuantizerMeta | undefined
  /** null: the index was never calibrated. */
  readonly calibration: Calibration | null
  /** MessagePack, decoded where somebody asks; undefined: there are none. */
  readonly encodedBuildFacts: Uint8Array | undefined
  readonly catalogueBytes: number
  /** Declared fields, in the order of their numbers; none: rows have no fields. */
  readonly fields: readonly DeclaredField[]
  /** Names the model that made the vectors; undefined: nobody said. */
  readonly model: string | undefined
  /** MessagePack of the app's own, decoded where somebody asks. */
  readonly encodedNote: Uint8Array | undefined
  /** All that was changed since the index was built. */
  readonly changes: Changes
}

/** Tells whether heaps hold ordinals: where ids are strings, or a hit has more than an id. */
export function usesOrdinals({ meta, segments }: Pick<Snapshot, 'meta' | 'segments'>): boolean {
  return meta.idType === 'string' || segments.totals.hasPayloads
}

export type { BuildFacts }
