// The bounded heap of the scalar kernel, in the same bytes as assembly/select.ts. The worst entry is first; order is
// (distance, id), lower first.

import { heapDistances, heapIds } from './addresses.ts'
import { HEAP_CAPACITY_AT, HEAP_DISTANCE_BYTES, HEAP_ID_BYTES, HEAP_SIZE_AT } from './layouts.ts'

interface Entry {
  readonly distance: number
  readonly id: number
}

/** Reads a u64 that is known to be a safe integer. */
export function readId(view: DataView, pointer: number): number {
  return view.getUint32(pointer, true) + view.getUint32(pointer + 4, true) * 2 ** 32
}

export function heapInit(view: DataView, heap: number, capacity: number): void {
  view.setUint32(heap + HEAP_SIZE_AT, 0, true)
  view.setUint32(heap + HEAP_CAPACITY_AT, capacity, true)
}

function sizeOf(view: DataView, heap: number): number {
  return view.getUint32(heap + HEAP_SIZE_AT, true)
}

function capacityOf(view: DataView, heap: number): number {
  return view.getUint32(heap + HEAP_CAPACITY_AT, true)
}

function read(view: DataView, heap: number, at: number): Entry {
  return {
    distance: view.getFloat64(heapDistances(heap) + at * HEAP_DISTANCE_BYTES, true),
    id: readId(view, heapIds(heap, capacityOf(view, heap)) + at * HEAP_ID_BYTES)
  }
}

function write(view: DataView, heap: number, at: number, entry: Entry): void {
  view.setFloat64(heapDistances(heap) + at * HEAP_DISTANCE_BYTES, entry.distance, true)
  const pointer = heapIds(heap, capacityOf(view, heap)) + at * HEAP_ID_BYTES
  view.setUint32(pointer, entry.id >>> 0, true)
  view.setUint32(pointer + 4, Math.floor(entry.id / 2 ** 32), true)
}

function isWorse(a: Entry, b: Entry): boolean {
  return a.distance > b.distance || (a.distance === b.distance && a.id > b.id)
}

/** Returns the distance that an entry must reach: infinity until the heap is full. */
export function heapLimit(view: DataView, heap: number): number {
  return sizeOf(view, heap) < capacityOf(view, heap) ? Infinity : view.getFloat64(heapDistances(heap), true)
}

export function heapOffer(view: DataView, heap: number, entry: Entry): void {
  const size = sizeOf(view, heap)
  if (size === capacityOf(view, heap)) {
    if (isWorse(read(view, heap, 0), entry)) sink(view, heap, size, entry)
    return
  }
  view.setUint32(heap + HEAP_SIZE_AT, size + 1, true)
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
  const size = sizeOf(view, heap)
  for (let end = size - 1; end > 0; end--) {
    const last = read(view, heap, end)
    write(view, heap, end, read(view, heap, 0))
    sink(view, heap, end, last)
  }
  return size
}
