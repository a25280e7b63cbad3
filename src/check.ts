// The entry `zgq/check`: verifying every byte of an index that can change an answer.

export { checkIndex, type CheckOptions, type CheckReport } from './check/check-index.ts'
export { ZgqError, type ZgqErrorCode } from './errors.ts'
