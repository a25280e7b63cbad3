// Names the error that a piece of work ends with.

import { ZgqError, type ZgqErrorCode } from '../../src/errors.ts'

/** Runs `work` and returns the ZgqError that it throws; fails for another error or none. */
export function errorOf(work: () => unknown): ZgqError {
  try {
    work()
  } catch (error) {
    if (error instanceof ZgqError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** Runs `work` and returns the code of the ZgqError that it throws. */
export function codeOf(work: () => unknown): ZgqErrorCode {
  return errorOf(work).code
}
