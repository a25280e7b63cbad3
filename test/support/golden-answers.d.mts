// Types of golden-answers.mjs.

import type { Id } from '../../src/types.ts'
import type { ZgqIndex } from '../../src/zgq-index.ts'

export const QUERIES: number
export function answersOf(
  index: ZgqIndex<Id>,
  queries: readonly (readonly number[])[]
): Readonly<Record<'facts' | 'rows' | 'exact' | 'coded' | 'counts' | 'filtered', unknown>>
