// How far the estimates of codes are trusted.

import type { Confidence } from '../quantizer/query-codes.ts'

/** Standard deviations of the error of an estimate that a row may be nearer than it looks; bench/README.md shows what they cost and lose. */
export const CONFIDENCE: Confidence = { signs: 2.2, refined: 3 }
/** For finding neighbours that are to be relied on. */
export const NEARLY_CERTAIN: Confidence = { signs: 3, refined: 4 }
