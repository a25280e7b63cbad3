// How the failure of a job travels: Redis keeps a text for people, `ZGQ_NON_FINITE: row 17 of ...`, of which whoever
// waits for the job makes an error of the same code.

import { ZgqError, type ZgqErrorCode } from '../errors.ts'

/** Every code, and whether the same job may succeed when it is done again. */
const CURABLE: Readonly<Record<ZgqErrorCode, boolean>> = {
  ZGQ_NOT_FOUND: false,
  ZGQ_NOT_AN_INDEX: false,
  ZGQ_EXISTS: false,
  ZGQ_UNSUPPORTED: false,
  ZGQ_CORRUPT: true,
  ZGQ_TRUNCATED: false,
  ZGQ_MISMATCH: false,
  ZGQ_DIMENSION: false,
  ZGQ_NON_FINITE: false,
  ZGQ_ZERO_VECTOR: false,
  ZGQ_RECALL: false,
  ZGQ_ID_EXISTS: false,
  ZGQ_READ_ONLY: true,
  ZGQ_LOCKED: true,
  ZGQ_CLOSED: true,
  ZGQ_IO: true,
  ZGQ_BUILD_INPUT: false,
  ZGQ_FILTER: false
}
/** Redis threw away what the job was to do (it evicts what has to stay): the job has to be added again. */
export const LOST_REASON = 'the job was lost'
const STALLED = /^job stalled more than/

/**
 * Thrown by a worker's `perform` where this worker cannot do jobs of that build: the job goes back, at no cost, and the
 * worker ends with this error.
 */
export class WorkerUnfit extends ZgqError {}

/** Whether a job that failed so may succeed when it is done again, here or by another worker. */
export function isCurable(error: unknown): boolean {
  if (error instanceof ZgqError) return CURABLE[error.code]
  return !(error instanceof TypeError || error instanceof RangeError)
}

/** The text that Redis keeps of a failure. */
export function reasonOf(error: unknown): string {
  if (error instanceof ZgqError) return `${error.code}: ${error.message}`
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

/** Makes an error of what Redis has kept of the failure of a job. */
export function errorOf(reason: string, output: string): Error {
  const [, name = '', message = ''] = /^([A-Z]\w*): (.*)$/s.exec(reason) ?? []
  if (isCode(name)) return ZgqError.restore({ code: name, message })
  if (name === 'TypeError') return new TypeError(message)
  if (name === 'RangeError') return new RangeError(message)
  if (STALLED.test(reason))
    return new ZgqError(
      'ZGQ_IO',
      `every worker that took ${output} ended without a word: killed, or out of memory; see the logs of the workers`
    )
  return new ZgqError('ZGQ_IO', `a worker failed at ${output}: ${reason}`)
}

function isCode(name: string): name is ZgqErrorCode {
  return Object.hasOwn(CURABLE, name)
}
