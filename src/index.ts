// The entry `zgq`: opening and searching. Building and checking are entries of their own, so that an app loads only
// what it uses.

export { ZgqError, type ZgqErrorCode } from './errors.ts'
export { DEFAULT_RECALL } from './search/request.ts'
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
  IndexInfo,
  Mapping,
  Metric,
  OpenOptions,
  Payload,
  QueryVector,
  ReaderKind,
  SearchedQueries,
  SearchOptions,
  SearchPlan,
  SqliteDriverName,
  SqliteInfo,
  StoredDocument,
  ThreadsInfo,
  UsualQueries,
  Verify,
  ZoneInfo,
  ZoneSizes
} from './types.ts'
export type { FieldSummary, FieldSummaryOptions, NumberBin, ValueCount } from './search/field-summary.ts'
export type { DocumentsOptions } from './search/rows.ts'
export { ZgqIndex } from './zgq-index.ts'
