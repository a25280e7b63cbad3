// Counts what an open index was asked, in all threads: how many queries were unlike those of the calibration.

import type { SearchedQueries } from '../info-types.ts'
import type { SearchRequest } from './request.ts'

export class SeenQueries {
  #byRecall = 0
  #unlike = 0

  /** Notes a query that was searched. */
  note(request: SearchRequest, isUnlike: boolean): void {
    if ('threshold' in request.probe) this.#byRecall++
    if (isUnlike) this.#unlike++
  }

  get counts(): SearchedQueries {
    return { byRecall: this.#byRecall, unlike: this.#unlike }
  }
}
