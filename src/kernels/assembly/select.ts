// Selection: the bounded heap that keeps the k best rows, and the choice of the nearest zones.
// A heap lies at one address: u32 size, u32 capacity, then capacity float64 distances, then capacity u64 ids; the worst entry is first.
// Order everywhere: (distance, id), lower first.

/** Empties the heap at `heap` and sets its capacity. */
export function heapInit(heap: usize, capacity: u32): void {
  store<u32>(heap, 0)
  store<u32>(heap, capacity, 4)
}

@inline
function isWorse(distanceA: f64, idA: u64, distanceB: f64, idB: u64): bool {
  return distanceA > distanceB || (distanceA == distanceB && idA > idB)
}

@inline
function distances(heap: usize): usize {
  return heap + 8
}

@inline
function ids(heap: usize): usize {
  return heap + 8 + (<usize>load<u32>(heap, 4) << 3)
}

/** Returns the distance that an entry must reach to enter: infinity until the heap is full. */
export function heapLimit(heap: usize): f64 {
  return load<u32>(heap) < load<u32>(heap, 4) ? Infinity : load<f64>(distances(heap))
}

/** Offers an entry; keeps it if the heap is not full or the entry is better than the worst. */
export function heapOffer(heap: usize, distance: f64, id: u64): void {
  const d = distances(heap), n = ids(heap)
  const size = load<u32>(heap)
  if (size < load<u32>(heap, 4)) {
    store<u32>(heap, size + 1)
    let at = size
    while (at > 0) {
      const parent = (at - 1) >>> 1
      const pd = load<f64>(d + (<usize>parent << 3)), pn = load<u64>(n + (<usize>parent << 3))
      if (!isWorse(distance, id, pd, pn)) break
      store<f64>(d + (<usize>at << 3), pd)
      store<u64>(n + (<usize>at << 3), pn)
      at = parent
    }
    store<f64>(d + (<usize>at << 3), distance)
    store<u64>(n + (<usize>at << 3), id)
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
    let cd = load<f64>(d + (<usize>child << 3)), cn = load<u64>(n + (<usize>child << 3))
    if (child + 1 < size) {
      const rd = load<f64>(d + (<usize>child << 3), 8), rn = load<u64>(n + (<usize>child << 3), 8)
      if (isWorse(rd, rn, cd, cn)) {
        child += 1
        cd = rd
        cn = rn
      }
    }
    if (!isWorse(cd, cn, distance, id)) break
    store<f64>(d + (<usize>at << 3), cd)
    store<u64>(n + (<usize>at << 3), cn)
    at = child
  }
  store<f64>(d + (<usize>at << 3), distance)
  store<u64>(n + (<usize>at << 3), id)
}

/** Sorts the entries in place, best first, and returns how many there are. The heap must be emptied before its next use. */
export function heapSort(heap: usize): u32 {
  const d = distances(heap), n = ids(heap)
  const size = load<u32>(heap)
  for (let end = size; end > 1; ) {
    end--
    const at = <usize>end << 3
    const lastD = load<f64>(d + at), lastN = load<u64>(n + at)
    store<f64>(d + at, load<f64>(d))
    store<u64>(n + at, load<u64>(n))
    sink(d, n, end, lastD, lastN)
  }
  return size
}

/** Puts the `wanted` positions of smallest value, ascending by (value, position), into `heap`: values is float32, count. Needs wanted >= 1. */
export function selectNearest(values: usize, count: u32, wanted: u32, heap: usize): u32 {
  heapInit(heap, wanted)
  let limit = Infinity
  for (let i: u32 = 0; i < count; i++) {
    const value = <f64>load<f32>(values + (<usize>i << 2))
    if (value < limit || (i < wanted)) {
      heapOffer(heap, value, i)
      limit = heapLimit(heap)
    }
  }
  return heapSort(heap)
}
