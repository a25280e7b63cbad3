// Counting sort: rows in order of their zones, in linear time.

/** Positions in order of their keys. */
export interface Sorted {
  /** Positions, key after key; those of one key ascend. */
  readonly order: Uint32Array
  /** First position of each key in `order`, and the end. */
  readonly starts: Uint32Array
}

/** Sorts the positions of keys, each below `keyCount`. */
export function countingSort(keys: Uint32Array, keyCount: number): Sorted {
  const starts = new Uint32Array(keyCount + 1)
  for (const key of keys) starts[key + 1]++
  for (let key = 0; key < keyCount; key++) starts[key + 1] += starts[key]
  const next = starts.slice()
  const order = new Uint32Array(keys.length)
  for (let i = 0; i < keys.length; i++) order[next[keys[i]]++] = i
  return { order, starts }
}
