// ZGQ with filters: the recall is asked for, and more where that is not enough.

import { loadZgq } from '../packages.ts'
import { filterOf } from '../zgq-filters.ts'
import type { FilteredEngine } from './filtered.ts'

const RECALLS = [0.95, 0.97, 0.98, 0.99, 0.995]

export const filteredZgq: FilteredEngine = {
  name: 'zgq',
  packageName: 'zgq',
  settings: 'default options, declared fields',
  async open({ folder, queries, k }) {
    const { ZgqIndex } = await loadZgq()
    const index = ZgqIndex.open(folder)
    const knobs = RECALLS.filter((recall) => recall <= (index.info().calibration?.highestRecall ?? 0))
    let options: { k: number; recall: number; filter?: ReturnType<typeof filterOf> }[] = []
    let filters: ReturnType<typeof filterOf>[] = []
    let hits: readonly { readonly id: number }[] = []
    return {
      knobs: knobs.map((recall) => ({ label: `recall ${recall}`, sweep: 'recall' })),
      take(conditions) {
        filters = conditions.map((condition) => filterOf(condition))
        return true
      },
      select(knob) {
        options = filters.map((filter) => ({
          k,
          recall: knobs[knob],
          ...(Object.keys(filter).length === 0 ? {} : { filter })
        }))
      },
      search(query) {
        hits = index.search(queries[query], options[query])
      },
      found: () => hits.map(({ id }) => id),
      close() {
        index.close()
      }
    }
  }
}
