// What goes between the thread of a fold and who asked for it. Types only.

/** What a fold is at. */
export type FoldStage = 'plan' | 'train' | 'write' | 'calibrate' | 'publish' | 'clean-up'

/** How far a step of a fold is: in rows that it moves; of training in rounds, of a calibration in queries. */
export interface FoldProgress {
  readonly stage: FoldStage
  readonly done: number
  readonly total: number
}

/** What a fold did. */
export interface FoldReport {
  /** Generations that it published; 0: there was nothing to do. */
  readonly steps: number
  /** Rows that were written. */
  readonly rows: number
  /** Zones there are now. */
  readonly zones: number
  /** Bytes of the files that were written. */
  readonly bytesWritten: number
  /** Files that were removed. */
  readonly removedFiles: number
}

/** Tells how far it is; throws where the fold was cancelled. */
export interface FoldTell {
  note(progress: FoldProgress): void
  check(): void
}
