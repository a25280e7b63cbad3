// The contract that every reader of data files keeps, as tests to run on any of them.

import { readdirSync, readFileSync, readlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'

import { ZgqError } from '../../src/errors.ts'
import type { DataFile, DataFiles, Reader } from '../../src/storage/reader.ts'
import { codeOf, errorOf } from './errors.ts'
import { KERNEL_KINDS, memoryOf } from './kernels.ts'
import { randomFrom } from './random.ts'
import { useTempFolder, type TempFolder } from './temp-folder.ts'

const PAGE = 4096
const SEED = 40
const isLinux = process.platform === 'linux'

export interface ReaderUnderTest {
  readonly name: string
  readonly open: (files: DataFiles) => Reader
  /** How long files stay mapped: `collected` is until the garbage collector comes by after close. */
  readonly mapsUntil: 'never' | 'closed' | 'collected'
}

let fileNumber = 0

/** Writes a file of random bytes; returns it with its content. */
export function makeFile(temp: TempFolder, byteLength: number): DataFile & { content: Buffer } {
  const random = randomFrom(SEED + fileNumber++)
  const content = Buffer.from(Array.from({ length: byteLength }, () => random() * 256))
  const path = temp.fresh('data.zgq')
  writeFileSync(path, content)
  return { path, byteLength, content }
}

/** Numbers files from 0 on. */
export function numbered(...files: readonly DataFile[]): DataFiles {
  return new Map(files.entries())
}

/** Files of the folder that this process holds open (Linux). */
export function openDescriptors(temp: TempFolder): string[] {
  return readdirSync('/proc/self/fd')
    .map((descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`)
      } catch {
        return '' // the descriptor of the listing itself
      }
    })
    .filter((path) => path.startsWith(temp.path))
}

/** Runs the contract on a reader. Call it at the top of a test file: the tests make files in a folder of their own. */
export function describeReader(subject: ReaderUnderTest): void {
  describe(`a reader by ${subject.name} (seed ${SEED})`, () => {
    defineContract(subject)
  })
}

function defineContract({ open, mapsUntil }: ReaderUnderTest): void {
  const temp = useTempFolder('reader')
  const big = makeFile(temp, 3 * 2 ** 20 + 12_345)
  const small = makeFile(temp, 2 * PAGE)
  const opened: Reader[] = []
  const openFor = (...files: readonly DataFile[]): Reader => {
    const reader = open(numbered(...files))
    opened.push(reader)
    return reader
  }
  afterEach(() => {
    for (const reader of opened.splice(0)) reader.close()
  })

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
    expect(read(openFor(big), 0, offset, byteLength).equals(big.content.subarray(offset, offset + byteLength))).toBe(
      true
    )
  })

  it('reads any range as it is in the file', () => {
    const reader = openFor(big)
    const random = randomFrom(SEED)
    for (let i = 0; i < 300; i++) {
      const offset = Math.floor(random() * big.byteLength)
      const byteLength = Math.floor(random() * Math.min(20_000, big.byteLength - offset))
      expect(
        read(reader, 0, offset, byteLength).equals(big.content.subarray(offset, offset + byteLength)),
        `${offset} + ${byteLength}`
      ).toBe(true)
    }
  })

  it('reads each of several files by its number', () => {
    const reader = openFor(small, big)
    const heads = [1, 0, 1].map((file) => read(reader, file, 10, 20))
    expect(heads).toEqual([big, small, big].map(({ content }) => content.subarray(10, 30)))
  })

  it.each(KERNEL_KINDS)('reads into memory of the %s kernel at an offset, also after it has grown', (kind) => {
    const memory = memoryOf(kind)
    const reader = openFor(big)
    for (const byteLength of [1000, 100_000, 2 ** 20 + 1]) {
      const pointer = memory.allocate(byteLength)
      reader.read(0, 5, memory.bytesAt(pointer, byteLength))
      expect(Buffer.from(memory.bytesAt(pointer, byteLength)).equals(big.content.subarray(5, 5 + byteLength))).toBe(
        true
      )
    }
  })

  it.each([
    ['starts at the end', small.byteLength, 1],
    ['starts past the end', small.byteLength + PAGE, 10],
    ['runs past the end', small.byteLength - 9, 10],
    ['is longer than the file', 0, small.byteLength + 1]
  ])('is truncated where a read %s', (_, offset, byteLength) => {
    const error = errorOf(() => {
      openFor(small).read(0, offset, new Uint8Array(byteLength))
    })
    expect(error).toMatchObject({ code: 'ZGQ_TRUNCATED', path: small.path, offset })
  })

  it('reads on after a read has failed', () => {
    const reader = openFor(small)
    codeOf(() => {
      reader.read(0, small.byteLength, new Uint8Array(1))
    })
    expect(read(reader, 0, 0, small.byteLength).equals(small.content)).toBe(true)
  })

  it('refuses with a ZgqError to open a file that is missing, and keeps nothing open', () => {
    const missing = { path: temp.fresh('missing.zgq'), byteLength: PAGE }
    expect(errorOf(() => openFor(small, missing))).toBeInstanceOf(ZgqError)
    if (isLinux) expect(openDescriptors(temp)).toEqual([])
  })

  it('prefetches any ranges without failing or changing what is read', () => {
    const reader = openFor(big, small)
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
    const files = Array.from({ length: 100 }, () => makeFile(temp, 50))
    const reader = openFor(...files)
    const random = randomFrom(SEED)
    for (let i = 0; i < 1000; i++) {
      const file = Math.floor(random() * files.length)
      expect(read(reader, file, 7, 43)).toEqual(files[file].content.subarray(7))
    }
  })

  it.runIf(isLinux)('holds at most 64 descriptors for 100 files, and none once closed', () => {
    const files = Array.from({ length: 100 }, () => makeFile(temp, 50))
    const reader = openFor(...files)
    const counts = [openDescriptors(temp).length]
    for (let i = 0; i < 300; i++) {
      reader.read((i * 37) % 100, 0, new Uint8Array(10))
      counts.push(openDescriptors(temp).length)
    }
    reader.close()
    expect(Math.max(...counts)).toBeLessThanOrEqual(64)
    expect(openDescriptors(temp)).toEqual([])
  })

  it('reads a file that was deleted after opening', () => {
    const file = makeFile(temp, 3 * PAGE)
    const reader = openFor(file)
    unlinkSync(file.path)
    expect(read(reader, 0, 0, file.byteLength).equals(file.content)).toBe(true)
  })

  it('takes nothing from a reader that was opened since, when it is closed twice', () => {
    const first = openFor(small)
    first.close()
    const second = openFor(small) // gets the descriptor or the address that the first gave back
    first.close()
    expect(read(second, 0, 0, small.byteLength).equals(small.content)).toBe(true)
  })

  it('reads nothing once closed', () => {
    const reader = openFor(small)
    reader.close()
    expect(
      errorOf(() => {
        reader.read(0, 0, new Uint8Array(1))
      })
    ).toMatchObject({ code: 'ZGQ_CLOSED', path: small.path })
    reader.prefetch([{ file: 0, offset: 0, byteLength: PAGE }])
  })

  it.runIf(isLinux)(
    mapsUntil === 'collected' ? 'leaves no mapping once closed and collected' : 'leaves no mapping once closed',
    async () => {
      const mappings = (): number =>
        readFileSync('/proc/self/maps', 'utf8')
          .split('\n')
          .filter((line) => line.includes(temp.path)).length
      if (mapsUntil === 'collected') await collectGarbage(() => mappings() === 0) // those of the tests before
      const reader = openFor(small, big)
      expect(mappings()).toBe(mapsUntil === 'never' ? 0 : 2)
      reader.close()
      if (mapsUntil === 'collected') await collectGarbage(() => mappings() === 0)
      expect(mappings()).toBe(0)
    }
  )
}

/** Collects until `isDone`, or gives up: what a collection frees is freed in later turns of the event loop. */
async function collectGarbage(isDone: () => boolean): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new Error('this Node has no gc')
  for (let turn = 0; turn < 100 && !isDone(); turn++) {
    collect()
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}
