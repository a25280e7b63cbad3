// The entry `zgq`: opening and searching. Building and checking are entries of their own, so that an app loads only
// what it uses.

export { ZgqError, type ZgqErrorCode } from './errors.ts'
export { DEFAULT_RECALL } from './search/request.ts'
export type {
  AddOptions,
  BackupOptions,
  CreateOptions,
  Optimized,
  OptimizeOptions,
  RowBatch,
  RowChoice,
  RowsInput,
  RowsToWrite,
  RowToWrite,
  UpsertOptions,
  Written
} from './change-types.ts'
export type {
  ChangesInfo,
  IndexInfo,
  PackedInfo,
  SearchedQueries,
  SearchPlan,
  SqliteDriverName,
  SqliteInfo,
  ThreadsInfo,
  ZoneInfo,
  ZoneSizes
} from './info-types.ts'
export type {
  AsyncSearchOptions,
  Calibration,
  CalibrationCurve,
  CalibrationPoint,
  ExplainedFilter,
  ExplainedHits,
  Explain,
  Fields,
  FieldType,
  FieldValue,
  Filter,
  FilterOperand,
  FilterOperators,
  Hit,
  Id,
  IdQuery,
  IdType,
  Mapping,
  Metric,
  OpenMode,
  OpenOptions,
  Payload,
  QueryVector,
  ReaderKind,
  SearchOptions,
  StoredDocument,
  UsualQueries,
  Verify
} from './types.ts'
export type { FieldSummary, FieldSummaryOptions, NumberBin, ValueCount } from './search/field-summary.ts'
export type { DocumentsOptions } from './search/rows.ts'
export { ZgqIndex } from './zgq-index.ts'
