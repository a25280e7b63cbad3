// Selection: the bounded heap that keeps the k best rows, and the choice of the nearest zones.
// The worst entry of a heap is first. Order everywhere: (distance, id), lower first.

import { HEAP_CAPACITY_AT, HEAP_HEADER_BYTES, HEAP_SIZE_AT, SELECT_BINS } from '../layouts'
import { rounding } from './constants'

/** Empties the heap at `heap` and sets its capacity. */
export function heapInit(heap: usize, capacity: u32): void {
  store<u32>(heap, 0, HEAP_SIZE_AT)
  store<u32>(heap, capacity, HEAP_CAPACITY_AT)
}

@inline
function isWorse(distanceA: f64, idA: u64, distanceB: f64, idB: u64): bool {
  return distanceA > distanceB || (distanceA == distanceB && idA > idB)
}

@inline
export function distances(heap: usize): usize {
  return heap + HEAP_HEADER_BYTES
}

@inline
export function ids(heap: usize): usize {
  return heap + HEAP_HEADER_BYTES + ((<usize>load<u32>(heap, HEAP_CAPACITY_AT)) << 3)
}

/** Returns the distance that an entry must reach to enter: infinity until the heap is full. */
export function heapLimit(heap: usize): f64 {
  return load<u32>(heap, HEAP_SIZE_AT) < load<u32>(heap, HEAP_CAPACITY_AT) ? Infinity : load<f64>(distances(heap))
}

/** Offers an entry; keeps it if the heap is not full or the entry is better than the worst. */
export function heapOffer(heap: usize, distance: f64, id: u64): void {
  const d = distances(heap),
    n = ids(heap)
  const size = load<u32>(heap, HEAP_SIZE_AT)
  if (size < load<u32>(heap, HEAP_CAPACITY_AT)) {
    store<u32>(heap, size + 1, HEAP_SIZE_AT)
    let at = size
    while (at > 0) {
      const parent = (at - 1) >>> 1
      const pd = load<f64>(d + ((<usize>parent) << 3)),
        pn = load<u64>(n + ((<usize>parent) << 3))
      if (!isWorse(distance, id, pd, pn)) break
      store<f64>(d + ((<usize>at) << 3), pd)
      store<u64>(n + ((<usize>at) << 3), pn)
      at = parent
    }
    store<f64>(d + ((<usize>at) << 3), distance)
    store<u64>(n + ((<usize>at) << 3), id)
  } else if (isWorse(load<f64>(d), load<u64>(n), distance, id)) {
    sink(d, n, size, distance, id)
  }
}

/** Puts an entry at the root of a heap of `size` entries, whose root is free, and lets it sink to its place. */
function sink(d: usize, n: usize, size: u32, distance: f64, id: u64): void {
  let at: u32 = 0
  while (true) {
    let child = (at << 1) + 1
    if (child >= size) break
    let cd = load<f64>(d + ((<usize>child) << 3)),
      cn = load<u64>(n + ((<usize>child) << 3))
    if (child + 1 < size) {
      const rd = load<f64>(d + ((<usize>child) << 3), 8),
        rn = load<u64>(n + ((<usize>child) << 3), 8)
      if (isWorse(rd, rn, cd, cn)) {
        child += 1
        cd = rd
        cn = rn
      }
    }
    if (!isWorse(cd, cn, distance, id)) break
    store<f64>(d + ((<usize>at) << 3), cd)
    store<u64>(n + ((<usize>at) << 3), cn)
    at = child
  }
  store<f64>(d + ((<usize>at) << 3), distance)
  store<u64>(n + ((<usize>at) << 3), id)
}

/**
 * Sorts the entries in place, best first, and returns how many there are. The heap must be emptied before its next use.
 */
export function heapSort(heap: usize): u32 {
  const d = distances(heap),
    n = ids(heap)
  const size = load<u32>(heap, HEAP_SIZE_AT)
  for (let end = size; end > 1;) {
    end--
    const at = (<usize>end) << 3
    const lastD = load<f64>(d + at),
      lastN = load<u64>(n + at)
    store<f64>(d + at, load<f64>(d))
    store<u64>(n + at, load<u64>(n))
    sink(d, n, end, lastD, lastN)
  }
  return size
}

/**
 * A key that orders float32 values with their positions: less is nearer, then the lower position. NaN comes last,
 * whatever its sign: processors differ in it.
 */
@inline
function keyOf(value: f32, position: u32): u64 {
  const bits = isNaN(value) ? 0x7fc00000 : reinterpret<u32>(value)
  const ordered = bits & 0x80000000 ? ~bits : bits | 0x80000000
  return ((<u64>ordered) << 32) | position
}

@inline
function valueOf(key: u64): f32 {
  const ordered = <u32>(key >>> 32)
  return reinterpret<f32>(ordered & 0x80000000 ? ordered & 0x7fffffff : ~ordered)
}

@inline
function countBin(at: usize): void {
  store<u32>(at, load<u32>(at) + 1)
}

/** Finds a value that at least `wanted` of the values do not exceed, and few more; scratch: SELECT_SCRATCH_BYTES. */
function cutoff(values: usize, count: u32, wanted: u32, scratch: usize): f32 {
  let leasts = f32x4.splat(Infinity),
    mosts = f32x4.splat(-Infinity),
    notNumbers = i32x4.splat(0)
  const fours = count & ~3
  for (let i: u32 = 0; i < fours; i += 4) {
    const four = v128.load(values + ((<usize>i) << 2))
    leasts = f32x4.pmin(leasts, four)
    mosts = f32x4.pmax(mosts, four)
    notNumbers = v128.or(notNumbers, f32x4.ne(four, four))
  }
  if (v128.any_true(notNumbers)) return Infinity
  let least = min<f32>(
    min<f32>(f32x4.extract_lane(leasts, 0), f32x4.extract_lane(leasts, 1)),
    min<f32>(f32x4.extract_lane(leasts, 2), f32x4.extract_lane(leasts, 3))
  )
  let most = max<f32>(
    max<f32>(f32x4.extract_lane(mosts, 0), f32x4.extract_lane(mosts, 1)),
    max<f32>(f32x4.extract_lane(mosts, 2), f32x4.extract_lane(mosts, 3))
  )
  for (let i = fours; i < count; i++) {
    const value = load<f32>(values + ((<usize>i) << 2))
    least = min<f32>(least, value)
    most = max<f32>(most, value)
  }
  const scale = <f32>(SELECT_BINS - 1) / (most - least)
  // All equal, infinite or not a number: no histogram, everything is sorted.
  if (!(scale > 0 && scale < f32.MAX_VALUE) || wanted >= count) return Infinity
  memory.fill(scratch, 0, SELECT_BINS << 2)
  const leastOfAll = f32x4.splat(least),
    scales = f32x4.splat(scale),
    whole = rounding()
  // Bits of 1.5 * 2^23 + n, times 4, are those of the first number times 4, and n times 4 more.
  const bins = scratch - (0x4b40_0000 << 2)
  for (let i: u32 = 0; i < fours; i += 4) {
    const four = v128.load(values + ((<usize>i) << 2))
    const places = i32x4.shl(f32x4.add(f32x4.trunc(f32x4.mul(f32x4.sub(four, leastOfAll), scales)), whole), 2)
    countBin(bins + <usize>i32x4.extract_lane(places, 0))
    countBin(bins + <usize>i32x4.extract_lane(places, 1))
    countBin(bins + <usize>i32x4.extract_lane(places, 2))
    countBin(bins + <usize>i32x4.extract_lane(places, 3))
  }
  for (let i = fours; i < count; i++)
    countBin(scratch + ((<usize>(<i32>((load<f32>(values + ((<usize>i) << 2)) - least) * scale))) << 2))
  let bin: u32 = 0
  for (let seen: u32 = 0; bin < <u32>SELECT_BINS; bin++) {
    seen += load<u32>(scratch + ((<usize>bin) << 2))
    if (seen >= wanted) break
  }
  // One bin more than needed: roundings of the scale must not cut off a value of the last bin.
  return least + <f32>(bin + 2) / scale
}

/** Sorts `count` keys in place: heapsort, the same on any input. */
function sortKeys(keys: usize, count: u32): void {
  for (let root = count >>> 1; root > 0;) sinkKey(keys, --root, count)
  for (let end = count; end > 1;) {
    end--
    const last = load<u64>(keys + ((<usize>end) << 3))
    store<u64>(keys + ((<usize>end) << 3), load<u64>(keys))
    store<u64>(keys, last)
    sinkKey(keys, 0, end)
  }
}

function sinkKey(keys: usize, root: u32, size: u32): void {
  const key = load<u64>(keys + ((<usize>root) << 3))
  let at = root
  while (true) {
    let child = (at << 1) + 1
    if (child >= size) break
    let largest = load<u64>(keys + ((<usize>child) << 3))
    if (child + 1 < size) {
      const right = load<u64>(keys + ((<usize>child) << 3), 8)
      if (right > largest) {
        child++
        largest = right
      }
    }
    if (largest <= key) break
    store<u64>(keys + ((<usize>at) << 3), largest)
    at = child
  }
  store<u64>(keys + ((<usize>at) << 3), key)
}

/**
 * Puts the `wanted` positions of smallest value, ascending by (value, position), into the list `heap`, which has room
 * for `count`; wanted is from 1 to count. names: u32, count: what to put instead of positions, in the order of
 * positions; or 0. scratch: SELECT_SCRATCH_BYTES.
 */
export function selectNearest(values: usize, count: u32, wanted: u32, names: usize, heap: usize, scratch: usize): u32 {
  heapInit(heap, wanted)
  const limit = cutoff(values, count, wanted, scratch)
  const keys = distances(heap)
  let kept: u32 = 0
  for (let i: u32 = 0; i < count; i++) {
    const value = load<f32>(values + ((<usize>i) << 2))
    if (value > limit) continue
    store<u64>(keys + ((<usize>kept) << 3), keyOf(value + 0, i)) // + 0: -0 and 0 are equal
    kept++
  }
  sortKeys(keys, kept)
  const numbers = ids(heap)
  for (let i: u32 = 0; i < wanted; i++) {
    const at = (<usize>i) << 3
    const key = load<u64>(keys + at)
    const position = <u32>key
    // Numbers go where keys beyond the wanted ones were; no key that is still to be read is overwritten.
    store<f64>(keys + at, <f64>valueOf(key))
    store<u64>(numbers + at, names == 0 ? position : load<u32>(names + ((<usize>position) << 2)))
  }
  store<u32>(heap, wanted, HEAP_SIZE_AT)
  return wanted
}

/**
 * Writes the positions of at least `wanted` of the smallest values, and few more, in order of positions: out is u32,
 * count. Returns how many. NaN counts as small. scratch: SELECT_SCRATCH_BYTES.
 */
export function selectSmallest(values: usize, count: u32, wanted: u32, out: usize, scratch: usize): u32 {
  const limit = cutoff(values, count, wanted, scratch)
  const limits = f32x4.splat(limit)
  const fours = count & ~3
  let kept = out
  for (let i: u32 = 0; i < fours; i += 4) {
    const small = (i32x4.bitmask(f32x4.gt(v128.load(values + ((<usize>i) << 2)), limits)) ^ 15) << 2
    store<u32>(kept, i)
    kept += small & 4
    store<u32>(kept, i + 1)
    kept += (small >>> 1) & 4
    store<u32>(kept, i + 2)
    kept += (small >>> 2) & 4
    store<u32>(kept, i + 3)
    kept += small >>> 3 & 4
  }
  for (let i = fours; i < count; i++) {
    if (load<f32>(values + ((<usize>i) << 2)) > limit) continue
    store<u32>(kept, i)
    kept += 4
  }
  return <u32>((kept - out) >> 2)
}
