// A fold: step after step until nothing is left to do, each published by a transaction of its own, so that it may stop
// between any two instructions. It holds fold.lock: there is one fold of an index at a time.

import { join } from 'node:path'

import { ChangeWriter } from '../catalogue/change-writer.ts'
import { FoldLock } from '../catalogue/fold-lock.ts'
import type { ReservedNumbers } from '../catalogue/reservations.ts'
import { wallMillis } from '../clock.ts'
import { dataFileName } from '../format/layout.ts'
import type { QuantizerMeta } from '../format/quantizer.ts'
import type { Segment } from '../format/segment-table.ts'
import { encodeStringId } from '../format/string-ids.ts'
import type { WriteOptions } from '../open-options.ts'
import type { CheckedOpenOptions } from '../search/open-context.ts'
import { OpenIndex } from '../search/open-index.ts'
import type { DocumentFiles } from '../storage/document-files.ts'
import { removeTemporary, syncFolder } from '../storage/file-writer.ts'
import type { Calibration, IdType } from '../types.ts'
import { calibrateFold, isCalibrationDue } from './calibrate-fold.ts'
import { cleanUp } from './clean-up.ts'
import type { FoldReport, FoldTell } from './fold-messages.ts'
import { foldedZones, type FoldedIndex } from './folded-index.ts'
import { planStep, type StepOptions, type StepPlan } from './plan-step.ts'
import { publishStep } from './publish-step.ts'
import { supersededSegments } from './superseded-segments.ts'
import { writeFold, type SegmentIds, type WrittenFold } from './write-fold.ts'

/** What a fold works with. */
export interface FoldOptions {
  readonly folder: string
  /** Of the index that the caller has open. */
  readonly indexId: Uint8Array
  readonly write: WriteOptions
  readonly read: CheckedOpenOptions
  /** Rows in memory take at most half of it. */
  readonly memoryBytes: number
  /** Every deleted row goes, and every fresh row comes into a zone. */
  readonly all: boolean
  /** It was started by itself. */
  readonly isAutomatic: boolean
  /** It only removes files that folds before it have left. */
  readonly onlyCleansUp: boolean
  /** How long files stay that a fold replaced. */
  readonly graceMs: number
}

/** Ids files that a look-up may have to ask, and part of their entries that may lead nowhere. */
const MOST_ID_FILES = 8
const MOST_STALE = 0.5
/** Files of one step beside those of payloads, which are cut at a gigabyte. */
const FILES_PER_STEP = 8

export class FoldSession {
  readonly #options: FoldOptions
  readonly #tell: FoldTell
  readonly #lock: FoldLock
  readonly #index: OpenIndex
  readonly #writer: ChangeWriter
  /** What there was when the fold began. */
  #began: Pick<StepOptions, 'firstOwnSegment' | 'endSequence' | 'endSegment'> | undefined
  #mayTrain = true
  #report: FoldReport = { steps: 0, rows: 0, zones: 0, bytesWritten: 0, removedFiles: 0 }

  /**
   * Throws ZGQ_LOCKED where somebody else folds the index or keeps it locked, ZGQ_READ_ONLY, ZGQ_MISMATCH where it was
   * replaced, and as opening does.
   */
  constructor(options: FoldOptions, tell: FoldTell) {
    const { folder, indexId, write, read } = options
    this.#options = options
    this.#tell = tell
    this.#lock = FoldLock.take(folder, write.lockTimeoutMs)
    try {
      this.#index = OpenIndex.openSame(folder, read, indexId)
      try {
        this.#writer = ChangeWriter.open(folder, { indexId, ...write })
      } catch (error) {
        this.#index.close()
        throw error
      }
    } catch (error) {
      this.#lock.release()
      throw error
    }
  }

  /** Folds until nothing is left to do. What was published stays where it throws. */
  async run(): Promise<FoldReport> {
    this.#cleanUp() // what a dead fold has left would take room
    if (this.#options.onlyCleansUp) return { ...this.#report, zones: this.#index.snapshot.meta.zoneCount }
    while (await this.#step());
    this.#tell.note({ stage: 'clean-up', done: 0, total: 0 })
    this.#cleanUp()
    return { ...this.#report, zones: this.#index.snapshot.meta.zoneCount }
  }

  /** Does one step; tells whether there was something to do. */
  async #step(): Promise<boolean> {
    this.#tell.check()
    this.#index.refresh()
    const { all, isAutomatic, memoryBytes } = this.#options
    const { nextSegment } = this.#index.snapshot.meta
    const { nextSequence } = this.#index.context.documents.live.meta
    this.#began ??= { firstOwnSegment: nextSegment, endSequence: nextSequence, endSegment: nextSegment }
    const plan = planStep(
      this.#index,
      { budgetBytes: memoryBytes / 2, all, takesFresh: !isAutomatic, mayTrain: this.#mayTrain, ...this.#began },
      this.#tell
    )
    if (plan === undefined) return false
    const numbers = this.#writer.reserve({
      segments: plan.numbering.written.length,
      files: FILES_PER_STEP + Math.ceil(plan.rows.valueBytes / 2 ** 29)
    })
    // A delta of that number is what a writer left that died: no other one takes it any more.
    removeTemporary(join(this.#options.folder, dataFileName('delta', numbers.generation, 0)))
    try {
      await this.#write(plan, numbers)
    } catch (error) {
      this.#abandon()
      throw error
    }
    if (plan.isAnew) this.#mayTrain = false
    return true
  }

  async #write(plan: StepPlan, numbers: ReservedNumbers): Promise<void> {
    const { folder } = this.#options
    const { snapshot, context } = this.#index
    const since = context.documents.live.meta.nextSequence
    const quantizer = quantizerFor(snapshot.quantizer, plan.origin)
    const merges = this.#mergesIds(plan)
    const written = await writeFold(
      {
        folder,
        meta: snapshot.meta,
        numbers,
        quantizer,
        fields: snapshot.fields,
        superseded: supersededSegments(this.#index, plan.removed)
      },
      { rows: plan.rows, zones: plan.numbering.written, otherIds: merges ? this.#idsThatStay(plan) : [] },
      this.#tell
    )
    syncFolder(folder)
    const files = merges ? snapshot.files.filter(({ kind }) => kind !== 'ids') : snapshot.files
    const folded = foldedZones({ ...snapshot, files }, { plan, written, quantizer })
    const calibration = await this.#calibrate(plan, folded, numbers)
    this.#tell.check()
    const { count: total } = plan.rows
    this.#tell.note({ stage: 'publish', done: 0, total })
    publishStep(
      { index: this.#index, writer: this.#writer, folder },
      { plan, written, folded, numbers, since, calibration }
    )
    this.#note(plan, written)
    this.#tell.note({ stage: 'publish', done: total, total })
  }

  #note(plan: StepPlan, written: WrittenFold): void {
    const { steps, rows, bytesWritten } = this.#report
    const bytes = written.files.reduce((sum, { byteLength }) => sum + byteLength, 0)
    this.#report = {
      ...this.#report,
      steps: steps + 1,
      rows: rows + plan.rows.count,
      bytesWritten: bytesWritten + bytes
    }
  }

  async #calibrate(
    plan: StepPlan,
    folded: FoldedIndex,
    { generation }: ReservedNumbers
  ): Promise<{ readonly measured: Calibration | null | undefined; readonly changedRows: number }> {
    const { snapshot, context } = this.#index
    const { changedRows } = plan
    const { rowsSinceCalibration } = context.documents.live.meta
    if (folded.segments.length === 0) return { measured: null, changedRows: 0 }
    if (
      !isCalibrationDue(snapshot, {
        rowsSinceCalibration: rowsSinceCalibration + changedRows,
        isAnew: plan.isAnew
      })
    )
      return { measured: undefined, changedRows }
    return { measured: await calibrateFold(snapshot, { folded, generation }, this.#tell), changedRows: 0 }
  }

  /** Tells whether the ids of all segments go into one file again. */
  #mergesIds({ rows, removed }: StepPlan): boolean {
    const { files, segments, meta } = this.#index.snapshot
    const ids = files.filter(({ kind }) => kind === 'ids')
    const entries = ids.reduce((sum, { rowCount }) => sum + rowCount, rows.count)
    const gone = new Set(removed)
    let staying = rows.count
    for (const { segment, zone, rowCount } of segments)
      if (zone < meta.zoneCount && !gone.has(segment)) staying += rowCount
    return ids.length === 0 || ids.length >= MOST_ID_FILES || staying < entries * MOST_STALE
  }

  *#idsThatStay({ removed }: StepPlan): Iterable<SegmentIds> {
    const { snapshot, context } = this.#index
    const gone = new Set(removed)
    for (const segment of snapshot.segments) {
      if (segment.zone >= snapshot.meta.zoneCount || gone.has(segment.segment)) continue
      this.#tell.check()
      yield { segment: segment.segment, ids: idsOf(segment, context.documents.files, snapshot.meta.idType) }
    }
  }

  /** Leaves nothing of a step that was not published. */
  #abandon(): void {
    try {
      this.#cleanUp()
    } catch {
      // The next fold does it: the reservation says what there is.
    }
  }

  #cleanUp(): void {
    const { folder, graceMs } = this.#options
    const { removed } = cleanUp(folder, { writer: this.#writer, isFoldHeld: true, nowMs: wallMillis(), graceMs })
    this.#report = { ...this.#report, removedFiles: this.#report.removedFiles + removed.length }
  }

  /** Closes, and frees the lock. A second call does nothing. */
  close(): void {
    try {
      this.#index.close()
    } finally {
      try {
        this.#writer.close()
      } finally {
        this.#lock.release()
      }
    }
  }
}

/** Where zones are trained anew the codes have another origin. */
function quantizerFor(before: QuantizerMeta | undefined, origin: Float32Array | undefined): QuantizerMeta | undefined {
  return before === undefined || origin === undefined ? before : { ...before, mean: origin }
}

function idsOf(segment: Segment, files: DocumentFiles, idType: IdType): SegmentIds['ids'] {
  const ids = Array.from({ length: segment.rowCount }, (_, row) => files.idOf({ segment, row }))
  return idType === 'integer' ? Float64Array.from(ids, Number) : ids.map((id) => encodeStringId(String(id)))
}
