// What the searches of an open index work with, what they lack, and what they return. Types only.

import type { CandidateRows } from '../cache/candidate-rows.ts'
import type { CodesCache } from '../cache/codes-cache.ts'
import type { RowCache } from '../cache/row-cache.ts'
import type { QueryRotation } from '../quantizer/query-codes.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { DocumentFiles } from '../storage/document-files.ts'
import type { IdLookup } from '../storage/id-lookup.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'
import type { LiveRows } from '../live/live-rows.ts'
import type { DeltaIds } from './delta-ids.ts'
import type { Filters } from './filters.ts'
import type { Explain, Hit, IdType } from '../types.ts'
import type { CentroidCodes } from './centroid-codes.ts'
import type { PackedCentroids } from './packed-centroids.ts'
import type { SearchStates } from './search-states.ts'
import type { Workspace } from './workspace.ts'

/** Codes of an open index. */
export interface CodesContext {
  readonly cache: CodesCache
  readonly candidates: CandidateRows
  readonly rotation: QueryRotation
  /** Undefined where there are so few zones that it costs less to compute all their distances. */
  centroids: CentroidCodes | undefined
  /** Undefined where floats are read as fast. */
  packed: PackedCentroids | undefined
}

/** What the searches of an open index work with. */
export interface SearchContext {
  readonly workspace: Workspace
  readonly states: SearchStates
  readonly cache: RowCache
  readonly files: SegmentFiles
  /** Undefined with `bits: 0`. */
  readonly codes: CodesContext | undefined
  /** Another one for another snapshot. */
  documents: DocumentsContext
}

/** What rows have besides vectors. */
export interface DocumentsContext {
  readonly segments: SegmentTable
  /** Heaps hold ordinals, not ids. */
  readonly usesOrdinals: boolean
  readonly files: DocumentFiles
  /** Of each ids file, the newest first; none: ids are looked for in every segment. */
  readonly ids: readonly IdLookup[]
  readonly filters: Filters
  readonly idType: IdType
  /** For messages. */
  readonly cataloguePath: string
  /** What changed since the segments were written. */
  readonly live: LiveRows
  readonly deltaIds: DeltaIds
  /** Zones of a build; those behind them are of deltas. */
  readonly builtZones: number
  /** Numbers of segments that are there, or were, are below it. */
  readonly nextSegment: number
  /** Deviation of the cosine that masked-rule.ts explains. */
  readonly alignment: number
  /** Part of the rule's least gain at which searches stop. */
  readonly gain: number
}

/** Hits of a search, and how it went. */
export interface SearchResult {
  readonly hits: Hit[]
  /** Undefined unless it was asked for. */
  readonly explain: Explain | undefined
  /** The query is unlike those of the calibration. */
  readonly isUnlike: boolean
  /** Microseconds that it took of the thread; 0 by the synchronous driver, which does not measure them. */
  readonly micros: number
}

/**
 * What a search lacks to go on: centroids, the next segments of its list, as codes or as rows, rows of candidates, or
 * time.
 */
export type Lack = 'centroids' | 'codes' | 'rows' | 'candidates' | 'turn'
