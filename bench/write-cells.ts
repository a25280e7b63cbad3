// The cells of `npm run writes`: what is written, how many rows a call.

export type WriteKind =
  'add' | 'add, 100 at once' | 'upsert new' | 'upsert old' | 'update' | 'delete' | 'delete by filter'

export interface WriteCell {
  readonly kind: WriteKind
  /** Rows a call. */
  readonly batch: number
  /** Calls a round. */
  readonly calls: number
  readonly rounds: number
}

/** Rows that are there before the cells that change rows. */
export const KEPT_ROWS = 40_000
export const QUICK_KEPT_ROWS = 4000
/** Calls that do not wait for each other. */
export const AT_ONCE = 100

export const CHANGES: readonly WriteKind[] = ['upsert new', 'upsert old', 'update', 'delete', 'delete by filter']

/** Calls of a round by rows a call, so that a round takes a second or less. */
const CALLS: readonly (readonly [number, number])[] = [
  [1, 60],
  [10, 40],
  [100, 20],
  [1000, 5],
  [100_000, 1]
]

export function addCells(isQuick: boolean): WriteCell[] {
  const cells = CALLS.map(([batch, calls]): WriteCell => {
    const rounds = batch >= 100_000 ? 2 : 5
    return { kind: 'add', batch, calls, rounds }
  })
  const atOnce: WriteCell = { kind: 'add, 100 at once', batch: 1, calls: 1, rounds: 15 }
  if (!isQuick) return [...cells.slice(0, 4), atOnce, ...cells.slice(4)]
  return [...cells.slice(0, 4), atOnce].map((cell) => ({ ...cell, calls: Math.ceil(cell.calls / 10), rounds: 2 }))
}

export function changeCells(isQuick: boolean): WriteCell[] {
  const sizes: readonly (readonly [number, number])[] = isQuick
    ? [
        [1, 5],
        [100, 1]
      ]
    : [
        [1, 40],
        [100, 8],
        [1000, 1]
      ]
  return CHANGES.flatMap((kind) =>
    sizes.map(([batch, calls]): WriteCell => ({ kind, batch, calls, rounds: isQuick ? 2 : 3 }))
  )
}

/** Tag of a row that is there before: as many rows share one as a call deletes, in a third of the rows for each size. */
export function tagOf(id: number, kept: number): number {
  const third = Math.floor(kept / 3)
  const part = Math.min(2, Math.floor(id / third))
  const batch = [1, 100, 1000][part]
  return part * kept + Math.floor((id - part * third) / batch)
}
