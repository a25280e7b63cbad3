// The entry `zgq/build`: making indexes, and reading the vector files that builds, queries and ground truth come in.

export { buildIndex } from './build/build-index.ts'
export {
  buildStage,
  type RunnableStage,
  type StageOptions,
  type StageReport,
  type StageShare
} from './build/build-stage.ts'
export type { BuildReport } from './build/publish-stage.ts'
export { calibrateIndex, type CalibrateOptions } from './build/calibrate-index.ts'
export type { BuildOptions, BuildProgress, BuildStage } from './build/build-options.ts'
export { readIvecs, type IntegerRows } from './input/ivecs-file.ts'
export { readRows, type ReadRowsOptions } from './input/read-rows.ts'
export { readVectors, type FileVectors } from './input/read-vectors.ts'
export type { BatchFileOptions } from './input/batch-format.ts'
export type { RowSource } from './input/row-source.ts'
export type { VectorBatch } from './input/vector-batch.ts'
export { openVectorFile } from './input/vector-file.ts'
export type { RowsToWrite } from './change-types.ts'
export { ZgqError, type ZgqErrorCode } from './errors.ts'
export type { Calibration, CalibrationCurve, CalibrationPoint, Fields, FieldType, IdType } from './types.ts'
