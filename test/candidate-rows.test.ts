// The cache of single rows in kernel memory: what it finds, what it forgets, and how much memory it takes.

import { describe, expect, it } from 'vitest'

import { CandidateRows, type CandidateRowsLimits, type RowSlot } from '../src/cache/candidate-rows.ts'
import type { Segment } from '../src/format/segment-table.ts'
import { keptHome } from '../src/kernels/addresses.ts'
import type { KernelMemory } from '../src/kernels/kernel-memory.ts'
import {
  KEPT_ADDRESS_AT,
  KEPT_ENTRY_BYTES,
  KEPT_ROW_AT,
  KEPT_SEGMENT_AT,
  KEPT_USED_AT
} from '../src/kernels/layouts.ts'
import { Readers } from '../src/storage/open-readers.ts'
import { SegmentFiles } from '../src/storage/segment-files.ts'
import { memoryOf } from './support/kernels.ts'
import { randomFrom } from './support/random.ts'
import { snapshotOf, zoneOf } from './support/snapshot.ts'

const SEED = 340
const SLOTS = 5
const PLENTY = 2 ** 30
const ROWS = 1_000_000

/** Files whose rows say which they are, without files. */
class NamedRows extends SegmentFiles {
  reads = 0
  readonly #isMapped: boolean
  readonly verified = new Set<string>()

  constructor(dim: number, isMapped: boolean) {
    const { meta } = snapshotOf({ dim, metric: 'l2', zones: [] })
    const options = { verify: 'touch', files: new Map(), usesOrdinals: false } as const
    super(meta, new Readers('in-memory', new Map(), 'pread'), options)
    this.#isMapped = isMapped
  }

  override get isMapped(): boolean {
    return this.#isMapped
  }

  override isRowVerified({ slot }: Segment, row: number): boolean {
    return this.verified.has(`${slot} ${row}`)
  }

  override copyVerifiedRow({ slot }: Segment, row: number, target: Uint8Array): void {
    target.set(rowBytes(slot, row, target.byteLength))
  }

  override copyRow(segment: Segment, row: number, target: Uint8Array): void {
    this.reads++
    this.copyVerifiedRow(segment, row, target)
  }
}

function rowBytes(slot: number, row: number, byteLength: number): Uint8Array {
  const words = Uint32Array.from({ length: byteLength / 4 }, (_, i) => (slot * 2 ** 24 + row) ^ (i * 0x0101_0101))
  return new Uint8Array(words.buffer)
}

interface Key {
  readonly slot: number
  readonly row: number
}

interface Cached {
  readonly memory: KernelMemory
  readonly rows: CandidateRows
  readonly files: NamedRows
  readonly target: () => RowSlot
  /** Bytes that were in use before the first row. */
  readonly before: number
  readonly dim: number
}

function open(dim: number, limits: Partial<CandidateRowsLimits> & { isMapped?: boolean } = {}): Cached {
  const memory = memoryOf('wasm')
  const files = new NamedRows(dim, limits.isMapped ?? false)
  const address = memory.allocate(dim * 4)
  const rows = new CandidateRows(dim, files, { memory, cacheBytes: PLENTY, rowCount: ROWS, ...limits })
  const target = (): RowSlot => ({ address, bytes: memory.bytesAt(address, dim * 4) })
  return { memory, rows, files, target, before: memory.usedByteLength, dim }
}

const segmentOf = (slot: number): Segment => zoneOf({ segment: slot, zone: slot, centroid: new Float32Array(1) })
const SEGMENTS = Array.from({ length: SLOTS }, (_, slot) => segmentOf(slot))

function read({ rows, target }: Cached, { slot, row }: Key): void {
  rows.read(SEGMENTS[slot], row, target())
}

/** Tells whether a row is kept; throws where other bytes lie in its place. */
function isKept({ rows, memory, dim }: Cached, { slot, row }: Key): boolean {
  const address = rows.addressOf({ slot }, row)
  // Not by `expect`, which takes long, and this is asked often.
  if (address !== 0 && Buffer.compare(memory.bytesAt(address, dim * 4), rowBytes(slot, row, dim * 4)) !== 0)
    throw new Error(`other bytes in the place of row ${row} of slot ${slot}`)
  return address !== 0
}

interface Entry extends Key {
  readonly wasUsed: boolean
  /** Index of what the kernel sets when it finds the row. */
  readonly used: number
}

/** What the kernel sees. */
function entriesOf({ rows, memory }: Cached): Entry[] {
  if (rows.table === 0) return []
  return Array.from({ length: 2 ** rows.bits }, (_, at) => {
    const entry = rows.table + at * KEPT_ENTRY_BYTES
    const { words } = memory
    const used = (entry + KEPT_USED_AT) / 4
    return {
      address: words[(entry + KEPT_ADDRESS_AT) / 4],
      slot: words[(entry + KEPT_SEGMENT_AT) / 4],
      row: words[(entry + KEPT_ROW_AT) / 4],
      wasUsed: words[used] === 1,
      used
    }
  }).filter(({ address }) => address !== 0)
}

const nameOf = ({ slot, row }: Key): string => `${slot} ${row}`
const keyOf = (name: string): Key => {
  const [slot, row] = name.split(' ').map(Number)
  return { slot, row }
}

function useSome(cached: Cached, isUsed: (entry: Entry) => boolean): void {
  for (const entry of entriesOf(cached)) if (isUsed(entry)) cached.memory.words[entry.used] = 1
}

/** Rows whose places in tables of 128 entries are the last two and the first two: runs of them go round the end. */
function collidingKeys(count: number): Key[] {
  const keys: Key[] = []
  for (let row = 0; keys.length < count; row++) {
    const slot = row % SLOTS
    if ([126, 127, 0, 1].includes(keptHome(7, slot, row))) keys.push({ slot, row })
  }
  return keys
}

describe('rows that were reranked', () => {
  it('are found once they were read, with the bytes that were read', () => {
    const cached = open(7)
    const keys = Array.from({ length: 1000 }, (_, i) => ({ slot: i % SLOTS, row: i * 7919 }))
    expect(keys.filter((key) => isKept(cached, key))).toEqual([])
    for (const key of keys) {
      read(cached, key)
      expect(cached.target().bytes).toEqual(rowBytes(key.slot, key.row, 28))
    }
    expect(keys.filter((key) => !isKept(cached, key))).toEqual([])
    expect(isKept(cached, { slot: 1, row: 0 })).toBe(false)
    expect(cached.rows.isAtHand(SEGMENTS[keys[3].slot], keys[3].row)).toBe(true)
  })

  it('take one place each, however often they are read', () => {
    const cached = open(3)
    for (let i = 0; i < 5; i++) for (let row = 0; row < 40; row++) read(cached, { slot: 2, row })
    expect(entriesOf(cached)).toHaveLength(40)
  })

  it('are not kept where nothing may be', () => {
    for (const limits of [{ cacheBytes: 0 }, { cacheBytes: 10 }, { rowCount: 0 }]) {
      const cached = open(5, limits)
      read(cached, { slot: 0, row: 1 })
      expect(cached.target().bytes).toEqual(rowBytes(0, 1, 20))
      expect([isKept(cached, { slot: 0, row: 1 }), cached.memory.usedByteLength]).toEqual([false, cached.before])
    }
  })

  it('of mapped files are kept only where there is room for all of them', () => {
    const [few, all] = [10_000, PLENTY].map((cacheBytes) => open(16, { isMapped: true, cacheBytes, rowCount: 1000 }))
    for (const cached of [few, all]) {
      const segment = SEGMENTS[1]
      expect(cached.rows.copy(segment, 9, cached.target())).toBe(false)
      cached.files.verified.add('1 9')
      expect(cached.rows.copy(segment, 9, cached.target())).toBe(true)
      expect(cached.target().bytes).toEqual(rowBytes(1, 9, 64))
      expect(cached.files.reads).toBe(0)
    }
    expect([few, all].map((cached) => isKept(cached, { slot: 1, row: 9 }))).toEqual([false, true])
  })

  it('of files that are not mapped are never copied without a read', () => {
    const cached = open(4)
    cached.files.verified.add('1 9')
    expect(cached.rows.copy(SEGMENTS[1], 9, cached.target())).toBe(false)
    expect(cached.rows.isAtHand(SEGMENTS[1], 9)).toBe(false)
  })
})

describe('a cache of rows that is full', () => {
  it('lets one row go for each that comes, and none that was used since the hand came by', () => {
    const cached = open(6, { rowCount: 100 })
    for (let row = 0; row < 100; row++) read(cached, { slot: 0, row })
    useSome(cached, ({ row }) => row % 10 !== 0)
    for (let row = 100; row < 110; row++) read(cached, { slot: 1, row })
    const kept = entriesOf(cached).map(nameOf)
    expect(kept).toHaveLength(100)
    for (let row = 0; row < 100; row++) if (row % 10 !== 0) expect(kept).toContain(`0 ${row}`)
  })

  it('lets a row go where all were used', () => {
    const cached = open(6, { rowCount: 70 })
    for (let row = 0; row < 70; row++) read(cached, { slot: 0, row })
    useSome(cached, () => true)
    read(cached, { slot: 3, row: 1 })
    expect(isKept(cached, { slot: 3, row: 1 })).toBe(true)
    expect(entriesOf(cached)).toHaveLength(70)
    expect(entriesOf(cached).filter(({ wasUsed }) => wasUsed)).toEqual([])
  })

  it('may have room for one row only', () => {
    const cached = open(6, { rowCount: 1 })
    for (let row = 0; row < 5; row++) {
      read(cached, { slot: 0, row })
      expect(entriesOf(cached).map(nameOf)).toEqual([`0 ${row}`])
    }
  })
})

describe('a cache of rows beside a map', () => {
  const random = randomFrom(SEED)
  const pools: [string, Key[]][] = [
    [
      'any rows',
      Array.from({ length: 300 }, () => ({ slot: Math.floor(random() * SLOTS), row: Math.floor(random() * 2 ** 31) }))
    ],
    ['rows that collide', collidingKeys(300)]
  ]

  it.each(pools)(`finds what was read and had not to go, whatever was dropped (%s, seed ${SEED})`, (_, keys) => {
    for (const capacity of [1, 5, 64, 65, 200, 1000]) {
      const cached = open(3, { rowCount: capacity })
      const kept = new Set<string>()
      for (let i = 0; i < 1000; i++) {
        const where = `capacity ${capacity}, step ${i}`
        const key = keys[Math.floor(random() * keys.length)]
        if (random() < 0.01) {
          const slots = random() < 0.5 ? [key.slot] : [key.slot, (key.slot + 1) % SLOTS]
          cached.rows.drop(slots)
          for (const name of kept) if (slots.includes(keyOf(name).slot)) kept.delete(name)
        } else if (random() < 0.2) useSome(cached, () => random() < 0.3)
        else {
          const before = entriesOf(cached)
          read(cached, key)
          if (!kept.has(nameOf(key)) && kept.size === capacity) {
            const gone = before.filter((entry) => !isKept(cached, entry))
            expect(gone, where).toHaveLength(1)
            if (before.some(({ wasUsed }) => !wasUsed)) expect(gone[0].wasUsed, where).toBe(false)
            kept.delete(nameOf(gone[0]))
          }
          kept.add(nameOf(key))
        }
        if (i % 10 !== 0) continue
        expect(entriesOf(cached).map(nameOf).sort(), where).toEqual([...kept].sort())
        expect(
          keys.filter((other) => isKept(cached, other) !== kept.has(nameOf(other))),
          where
        ).toEqual([])
      }
    }
  })
})

describe('the memory of a cache of rows', () => {
  it.each([1, 3, 16, 100, 1536])('is not more than it may take, in %d dimensions', (dim) => {
    for (const cacheBytes of [1000, 2340, 5000, 20_000, 70_000, 300_000]) {
      const cached = open(dim, { cacheBytes })
      for (let row = 0; row < 3000; row++) read(cached, { slot: row % SLOTS, row })
      expect(cached.memory.usedByteLength - cached.before, `${cacheBytes} bytes`).toBeLessThanOrEqual(cacheBytes)
    }
  })

  it('holds as many rows as half of it could, at least', () => {
    for (const dim of [1, 16, 384]) {
      const cached = open(dim, { cacheBytes: 100_000 })
      for (let row = 0; row < 3000; row++) read(cached, { slot: row % SLOTS, row })
      expect(entriesOf(cached).length).toBeGreaterThanOrEqual(Math.min(3000, Math.floor(50_000 / (dim * 4 + 48))))
    }
  })

  it('is given back where less may be taken, and taken anew where more may be', () => {
    const cached = open(20)
    const keys = Array.from({ length: 500 }, (_, row) => ({ slot: row % SLOTS, row }))
    for (const key of keys) read(cached, key)
    const taken = cached.memory.usedByteLength
    cached.rows.limit({ cacheBytes: PLENTY, rowCount: 2000 })
    expect(keys.every((key) => isKept(cached, key))).toBe(true)
    cached.rows.limit({ cacheBytes: 10_000, rowCount: 2000 })
    expect(cached.memory.usedByteLength - cached.before).toBeLessThanOrEqual(10_000)
    for (const key of keys) {
      read(cached, key)
      expect(isKept(cached, key)).toBe(true)
    }
    expect(cached.memory.usedByteLength - cached.before).toBeLessThanOrEqual(10_000)
    cached.rows.limit({ cacheBytes: 0, rowCount: 2000 })
    expect([cached.memory.usedByteLength, cached.rows.table, cached.rows.bits]).toEqual([cached.before, 0, 0])
    expect(keys.filter((key) => isKept(cached, key))).toEqual([])
    cached.rows.limit({ cacheBytes: PLENTY, rowCount: 2000 })
    for (const key of keys) read(cached, key)
    expect(keys.every((key) => isKept(cached, key))).toBe(true)
    expect(cached.memory.usedByteLength).toBe(taken)
  })

  it('that ends while the cache grows leaves what is kept, and the cache in order', () => {
    for (const failing of [1, 2]) {
      const cached = open(5)
      const { memory } = cached
      const keys = Array.from({ length: 300 }, (_, row) => ({ slot: row % SLOTS, row }))
      for (const key of keys.slice(0, 64)) read(cached, key)
      const allocate = memory.allocate.bind(memory)
      let calls = 0
      memory.allocate = (byteLength) => {
        if (++calls === failing) throw new RangeError('kernel memory ends')
        return allocate(byteLength)
      }
      read(cached, keys[64])
      memory.allocate = allocate
      expect(cached.target().bytes).toEqual(rowBytes(4, 64, 20))
      expect(isKept(cached, keys[64])).toBe(true)
      for (const key of keys) read(cached, key)
      expect(keys.filter((key) => isKept(cached, key))).toHaveLength(64)
      cached.rows.limit({ cacheBytes: PLENTY, rowCount: ROWS })
      for (const key of keys) read(cached, key)
      expect(keys.filter((key) => isKept(cached, key))).toHaveLength(300)
    }
  })
})
