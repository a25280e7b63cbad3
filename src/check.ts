// The entry `zgq/check`: verifying every byte of an index that can change an answer, and saving what is
// left of a damaged one.

export { checkIndex, type CheckOptions, type CheckReport } from './check/check-index.ts'
export { repairIndex, type RepairOptions, type RepairProgress, type RepairReport } from './repair/repair-index.ts'
export type { LostSegment, RepairDamage, RepairLosses } from './repair/losses.ts'
export { ZgqError, type ZgqErrorCode } from './errors.ts'
