// Changes of an index, drawn at random, with folds, copies and repairs among them.

import { CHANGES_DIM, drawChanges, type Change, type ChangesWish, type Rows } from './changes.ts'
import { LARGE_ROWS, LITTLE_MEMORY, largeRows } from './changing-folders.ts'
import { randomFrom } from './random.ts'

export interface FoldedChangesWish extends ChangesWish {
  /** Paths for copies that nothing was given before; left out: none are made. */
  readonly copy?: (kind: 'backup' | 'repair') => string
  /** Large rows that come first; left out: some, or so many that they become a delta. */
  readonly large?: number
}

const numberOf = (id: string): number => Number(id.slice(id.indexOf('-') + 1))

/** Draws changes, a fold after every few of them, each with several steps where the index is large enough. */
export function drawFoldedChanges(wish: FoldedChangesWish): Change[] {
  const { seed, writer, copy, dim = CHANGES_DIM, before = new Map() } = wish
  const random = randomFrom(seed * 17 + writer)
  const { large = random() < 0.2 ? LARGE_ROWS : 30 } = wish
  const first = Math.max(-1, ...Array.from(before.keys(), numberOf)) + 1
  const added = largeRows(writer, first, { count: large, dim })
  const held: Rows = new Map([...before, ...added.map((row) => [row.id, row] as const)])
  const changes: Change[] = added.length === 0 ? [] : [{ call: 'add', rows: added }]
  for (const change of drawChanges({ ...wish, before: held })) {
    changes.push(change)
    const kind = random()
    if (kind < 0.3) changes.push({ call: 'optimize', all: random() < 0.6, memoryBytes: LITTLE_MEMORY })
    else if (copy !== undefined && kind < 0.4) changes.push({ call: 'backup', path: copy('backup') })
    else if (copy !== undefined && kind < 0.48) changes.push({ call: 'repair', path: copy('repair') })
  }
  return changes
}
