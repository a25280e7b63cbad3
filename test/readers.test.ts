// One contract for every reader of data files, and the choice among readers.

import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'

import { ZgqError } from '../src/errors.ts'
import { loadLibc, type Libc } from '../src/storage/libc.ts'
import { openMmapReader } from '../src/storage/mmap-reader.ts'
import { openReaders } from '../src/storage/open-readers.ts'
import { openPreadReader } from '../src/storage/pread-reader.ts'
import type { DataFile, Reader } from '../src/storage/reader.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { KERNEL_KINDS, memoryOf } from './support/kernels.ts'
import { CAN_MAP, MAPPINGS } from './support/mappings.ts'
import { randomFrom } from './support/random.ts'

const PAGE = 4096
const SEED = 40
const isLinux = process.platform === 'linux'
const folder = mkdtempSync(join(tmpdir(), 'zgq-readers-'))
afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

let fileNumber = 0

/** Writes a file of random bytes; returns it with its content. */
function makeFile(byteLength: number): DataFile & { content: Buffer } {
  const random = randomFrom(SEED + fileNumber)
  const content = Buffer.from(Array.from({ length: byteLength }, () => random() * 256))
  const path = join(folder, `file-${fileNumber++}.zgq`)
  writeFileSync(path, content)
  return { path, byteLength, content }
}

/** Files of the test folder that this process holds open. */
function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`)
    } catch {
      return '' // the descriptor of the listing itself
    }
  }).filter((path) => path.startsWith(folder))
}

function libc(): Libc {
  const loaded = loadLibc()
  if ('reason' in loaded) throw new Error(loaded.reason)
  return loaded.libc
}

interface NamedReader {
  readonly name: string
  readonly open: (files: readonly DataFile[]) => Reader
}

const READERS_BY_LIBC: readonly NamedReader[] = [
  { name: 'pread without readahead', open: (files) => openPreadReader(files, libc()) },
  { name: 'mmap', open: (files) => openMmapReader(files, libc()) }
]

const READERS: readonly NamedReader[] = [
  { name: 'pread', open: (files) => openPreadReader(files) },
  ...(CAN_MAP ? READERS_BY_LIBC : [])
]

const big = makeFile(3 * 2 ** 20 + 12_345)
const small = makeFile(2 * PAGE)

describe.each(READERS)(`a reader by $name (seed ${SEED})`, ({ name, open }) => {
  const opened: Reader[] = []
  const openFor = (files: readonly DataFile[]): Reader => {
    const reader = open(files)
    opened.push(reader)
    return reader
  }
  afterEach(() => { for (const reader of opened.splice(0)) reader.close() })

  /** Reads into the middle of a larger buffer and returns all of that: its edges must stay as they were. */
  const read = (reader: Reader, file: number, offset: number, byteLength: number): Buffer => {
    const buffer = Buffer.alloc(byteLength + 10, 0xee)
    reader.read(file, offset, buffer.subarray(5, 5 + byteLength))
    expect([...buffer.subarray(0, 5), ...buffer.subarray(5 + byteLength)]).toEqual(new Array(10).fill(0xee))
    return buffer.subarray(5, 5 + byteLength)
  }

  it.each([
    ['the first byte', 0, 1],
    ['the last byte', big.byteLength - 1, 1],
    ['a whole page', PAGE, PAGE],
    ['a few bytes across two pages', 3 * PAGE - 3, 7],
    ['unaligned bytes of many pages', 4097, 50_001],
    ['more than 1 MiB', 12_345, 2 ** 21 + 777],
    ['the whole file', 0, big.byteLength],
    ['nothing', 100, 0],
    ['nothing at the end', big.byteLength, 0]
  ])('reads %s', (_, offset, byteLength) => {
    expect(read(openFor([big]), 0, offset, byteLength).equals(big.content.subarray(offset, offset + byteLength))).toBe(true)
  })

  it('reads any range as it is in the file', () => {
    const reader = openFor([big])
    const random = randomFrom(SEED)
    for (let i = 0; i < 300; i++) {
      const offset = Math.floor(random() * big.byteLength)
      const byteLength = Math.floor(random() * Math.min(20_000, big.byteLength - offset))
      expect(read(reader, 0, offset, byteLength).equals(big.content.subarray(offset, offset + byteLength)), `${offset} + ${byteLength}`).toBe(true)
    }
  })

  it('reads each of several files by its number', () => {
    const reader = openFor([small, big])
    const heads = [1, 0, 1].map((file) => read(reader, file, 10, 20))
    expect(heads).toEqual([big, small, big].map(({ content }) => content.subarray(10, 30)))
  })

  it.each(KERNEL_KINDS)('reads into memory of the %s kernel at an offset, also after it has grown', (kind) => {
    const memory = memoryOf(kind)
    const reader = openFor([big])
    for (const byteLength of [1000, 100_000, 2 ** 20 + 1]) {
      const pointer = memory.allocate(byteLength)
      reader.read(0, 5, memory.bytesAt(pointer, byteLength))
      expect(Buffer.from(memory.bytesAt(pointer, byteLength)).equals(big.content.subarray(5, 5 + byteLength))).toBe(true)
    }
  })

  it.each([['starts at the end', small.byteLength, 1], ['starts past the end', small.byteLength + PAGE, 10], ['runs past the end', small.byteLength - 9, 10], ['is longer than the file', 0, small.byteLength + 1]])(
    'is truncated where a read %s',
    (_, offset, byteLength) => {
      const error = errorOf(() => { openFor([small]).read(0, offset, new Uint8Array(byteLength)) })
      expect(error).toMatchObject({ code: 'ZGQ_TRUNCATED', path: small.path, offset })
    }
  )

  it('reads on after a read has failed', () => {
    const reader = openFor([small])
    codeOf(() => { reader.read(0, small.byteLength, new Uint8Array(1)) })
    expect(read(reader, 0, 0, small.byteLength).equals(small.content)).toBe(true)
  })

  it('refuses with a ZgqError to open a file that is missing, and keeps nothing open', () => {
    const missing = { path: join(folder, 'missing.zgq'), byteLength: PAGE }
    expect(errorOf(() => openFor([small, missing]))).toBeInstanceOf(ZgqError)
    if (isLinux) expect(openDescriptors()).toEqual([])
  })

  it('prefetches any ranges without failing or changing what is read', () => {
    const reader = openFor([big, small])
    const ranges = [
      { file: 0, offset: 0, byteLength: 1 },
      { file: 0, offset: 4097, byteLength: 777_777 },
      { file: 0, offset: big.byteLength - 1, byteLength: 1 },
      { file: 0, offset: 0, byteLength: big.byteLength },
      { file: 1, offset: PAGE, byteLength: PAGE },
      { file: 1, offset: 17, byteLength: 0 }
    ]
    reader.prefetch([])
    reader.prefetch(ranges)
    expect(read(reader, 0, 0, big.byteLength).equals(big.content)).toBe(true)
  })

  it('reads 100 files in any order', () => {
    const files = Array.from({ length: 100 }, () => makeFile(50))
    const reader = openFor(files)
    const random = randomFrom(SEED)
    for (let i = 0; i < 1000; i++) {
      const file = Math.floor(random() * files.length)
      expect(read(reader, file, 7, 43)).toEqual(files[file].content.subarray(7))
    }
  })

  it.runIf(isLinux)('holds at most 64 descriptors for 100 files, and none once closed', () => {
    const files = Array.from({ length: 100 }, () => makeFile(50))
    const reader = openFor(files)
    const counts = [openDescriptors().length]
    for (let i = 0; i < 300; i++) {
      reader.read((i * 37) % 100, 0, new Uint8Array(10))
      counts.push(openDescriptors().length)
    }
    reader.close()
    expect(Math.max(...counts)).toBeLessThanOrEqual(64)
    expect(openDescriptors()).toEqual([])
  })

  it('reads a file that was deleted after opening', () => {
    const file = makeFile(3 * PAGE)
    const reader = openFor([file])
    unlinkSync(file.path)
    expect(read(reader, 0, 0, file.byteLength).equals(file.content)).toBe(true)
  })

  it('takes nothing from a reader that was opened since, when it is closed twice', () => {
    const first = openFor([small])
    first.close()
    const second = openFor([small]) // gets the descriptor or the address that the first gave back
    first.close()
    expect(read(second, 0, 0, small.byteLength).equals(small.content)).toBe(true)
  })

  it.runIf(isLinux)('leaves no mapping once closed', () => {
    const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').filter((line) => line.includes(folder)).length
    const reader = openFor([small, big])
    expect(mappings()).toBe(name === 'mmap' ? 2 : 0)
    reader.close()
    expect(mappings()).toBe(0)
  })
})

describe('the choice of readers', () => {
  const choose = (mapping: 'auto' | 'mmap' | 'pread'): { fresh: string; settled: string; reason: string } => {
    const readers = openReaders(folder, [small], mapping)
    readers.close()
    return { fresh: readers.fresh.kind, settled: readers.settled.kind, reason: readers.reason }
  }

  it.runIf(CAN_MAP).each(['auto', 'mmap'] as const)('reads fresh bytes by pread and settled ones by mmap with %s', (mapping) => {
    expect(choose(mapping)).toMatchObject({ fresh: 'pread', settled: 'mmap' })
  })

  it('reads all bytes by pread where that was asked for', () => {
    expect(choose('pread')).toMatchObject({ fresh: 'pread', settled: 'pread' })
  })

  it.each(['auto', ...MAPPINGS] as const)('gives a reason for %s', (mapping) => {
    expect(choose(mapping).reason).toMatch(/\w/)
  })

  it.each(['auto', ...MAPPINGS] as const)('reads the same bytes through both readers with %s', (mapping) => {
    const readers = openReaders(folder, [small], mapping)
    const found = [readers.fresh, readers.settled].map((reader) => {
      const bytes = Buffer.alloc(small.byteLength)
      reader.read(0, 0, bytes)
      return bytes
    })
    readers.close()
    expect(found).toEqual([small.content, small.content])
  })

  it.runIf(isLinux).each(['auto', 'mmap', 'pread'] as const)('leaves nothing open with %s once closed', (mapping) => {
    choose(mapping)
    expect(openDescriptors()).toEqual([])
  })

  it.runIf(!CAN_MAP)('reads by pread where there is no mapping, and refuses one that was asked for', () => {
    expect(choose('auto')).toMatchObject({ fresh: 'pread', settled: 'pread' })
    expect(codeOf(() => choose('mmap'))).toBe('ZGQ_UNSUPPORTED')
  })

  it('reads by pread where the folder does not answer statfs', () => {
    const readers = openReaders(join(folder, 'not-there'), [small], 'auto')
    readers.close()
    expect(readers.settled.kind).toBe('pread')
  })
})

// Fails today and will pass once the bug is fixed: then `.fails` goes.
describe('regressions of the readers', () => {
  it.runIf(CAN_MAP)('a missing file is corrupt for the mmap reader, as the spec says and as pread has it', () => {
    expect(codeOf(() => openMmapReader([{ path: join(folder, 'missing.zgq'), byteLength: PAGE }], libc()))).toBe('ZGQ_CORRUPT')
  })
})
