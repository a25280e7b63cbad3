// The bounded heap of the scalar kernel, in the same bytes as assembly/select.ts: u32 size, u32 capacity, float64
// distances, u64 ids. The worst entry is first; order is (distance, id), lower first.

interface Entry {
  readonly distance: number
  readonly id: number
}

/** Reads a u64 that is known to be a safe integer. */
export function readId(view: DataView, pointer: number): number {
  return view.getUint32(pointer, true) + view.getUint32(pointer + 4, true) * 2 ** 32
}

export function heapInit(view: DataView, heap: number, capacity: number): void {
  view.setUint32(heap, 0, true)
  view.setUint32(heap + 4, capacity, true)
}

function read(view: DataView, heap: number, at: number): Entry {
  const capacity = view.getUint32(heap + 4, true)
  return { distance: view.getFloat64(heap + 8 + at * 8, true), id: readId(view, heap + 8 + (capacity + at) * 8) }
}

function write(view: DataView, heap: number, at: number, entry: Entry): void {
  const capacity = view.getUint32(heap + 4, true)
  view.setFloat64(heap + 8 + at * 8, entry.distance, true)
  const pointer = heap + 8 + (capacity + at) * 8
  view.setUint32(pointer, entry.id >>> 0, true)
  view.setUint32(pointer + 4, Math.floor(entry.id / 2 ** 32), true)
}

function isWorse(a: Entry, b: Entry): boolean {
  return a.distance > b.distance || (a.distance === b.distance && a.id > b.id)
}

/** Returns the distance that an entry must reach: infinity until the heap is full. */
export function heapLimit(view: DataView, heap: number): number {
  return view.getUint32(heap, true) < view.getUint32(heap + 4, true) ? Infinity : view.getFloat64(heap + 8, true)
}

export function heapOffer(view: DataView, heap: number, entry: Entry): void {
  const size = view.getUint32(heap, true)
  if (size === view.getUint32(heap + 4, true)) {
    if (isWorse(read(view, heap, 0), entry)) sink(view, heap, size, entry)
    return
  }
  view.setUint32(heap, size + 1, true)
  let at = size
  while (at > 0) {
    const parent = (at - 1) >>> 1
    const above = read(view, heap, parent)
    if (!isWorse(entry, above)) break
    write(view, heap, at, above)
    at = parent
  }
  write(view, heap, at, entry)
}

function sink(view: DataView, heap: number, size: number, entry: Entry): void {
  let at = 0
  for (let child = 1; child < size; child = 2 * at + 1) {
    if (child + 1 < size && isWorse(read(view, heap, child + 1), read(view, heap, child))) child++
    const below = read(view, heap, child)
    if (!isWorse(below, entry)) break
    write(view, heap, at, below)
    at = child
  }
  write(view, heap, at, entry)
}

/** Sorts in place, best first; returns the size. */
export function heapSort(view: DataView, heap: number): number {
  const size = view.getUint32(heap, true)
  for (let end = size - 1; end > 0; end--) {
    const last = read(view, heap, end)
    write(view, heap, end, read(view, heap, 0))
    sink(view, heap, end, last)
  }
  return size
}
