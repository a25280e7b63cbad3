// The contract of readers on those that need nothing installed, and the choice among readers.

import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { loadLibc, type Libc } from '../src/storage/libc.ts'
import { openMmapReader } from '../src/storage/mmap-reader.ts'
import { openReaders } from '../src/storage/open-readers.ts'
import { openPreadReader } from '../src/storage/pread-reader.ts'
import { codeOf } from './support/errors.ts'
import { CAN_MAP, MAPPINGS } from './support/mappings.ts'
import { describeReader, makeFile, numbered, openDescriptors } from './support/reader-contract.ts'
import { useTempFolder } from './support/temp-folder.ts'

const PAGE = 4096
const isLinux = process.platform === 'linux'
const temp = useTempFolder('readers')
const small = makeFile(temp, 2 * PAGE)

function libc(): Libc {
  const loaded = loadLibc()
  if ('reason' in loaded) throw new Error(loaded.reason)
  return loaded.libc
}

describeReader({ name: 'pread', open: (files) => openPreadReader(files), mapsUntil: 'never' })
if (CAN_MAP)
  describeReader({
    name: 'pread without readahead',
    open: (files) => {
      const reader = openPreadReader(files)
      reader.adviseRandom(libc())
      return reader
    },
    mapsUntil: 'never'
  })
if (CAN_MAP) describeReader({ name: 'mmap', open: (files) => openMmapReader(files, libc()), mapsUntil: 'closed' })

describe('the choice of readers', () => {
  const choose = (mapping: 'auto' | 'mmap' | 'pread'): { fresh: string; settled: string; reason: string } => {
    const readers = openReaders(temp.path, numbered(small), mapping)
    const { kind, reason } = readers.chosen()
    readers.close()
    return { fresh: readers.fresh.kind, settled: kind, reason }
  }

  it.runIf(CAN_MAP).each(['auto', 'mmap'] as const)(
    'reads fresh bytes by pread and settled ones by mmap with %s',
    (mapping) => {
      expect(choose(mapping)).toMatchObject({ fresh: 'pread', settled: 'mmap' })
    }
  )

  it('reads all bytes by pread where that was asked for', () => {
    expect(choose('pread')).toMatchObject({ fresh: 'pread', settled: 'pread' })
  })

  it.each(['auto', ...MAPPINGS] as const)('gives a reason for %s', (mapping) => {
    expect(choose(mapping).reason).toMatch(/\w/)
  })

  it.each(['auto', ...MAPPINGS] as const)('reads the same bytes through both readers with %s', (mapping) => {
    const readers = openReaders(temp.path, numbered(small), mapping)
    const readSettled = (bytes: Uint8Array): void => {
      readers.readSettled(0, 0, bytes)
    }
    const reads = [
      (bytes: Uint8Array): void => {
        readers.fresh.read(0, 0, bytes)
      },
      readSettled,
      (bytes: Uint8Array): void => {
        readers.chosen()
        readSettled(bytes)
      }
    ]
    const found = reads.map((read) => {
      const bytes = Buffer.alloc(small.byteLength)
      read(bytes)
      return bytes
    })
    readers.close()
    expect(found).toEqual([small.content, small.content, small.content])
  })

  it.runIf(isLinux).each(['auto', ...MAPPINGS] as const)('leaves nothing open with %s once closed', (mapping) => {
    choose(mapping)
    expect(openDescriptors(temp)).toEqual([])
  })

  if (!CAN_MAP)
    it('reads by pread where there is no mapping, and refuses one that was asked for', () => {
      expect(choose('auto')).toMatchObject({ fresh: 'pread', settled: 'pread' })
      expect(codeOf(() => choose('mmap'))).toBe('ZGQ_UNSUPPORTED')
    })

  it('reads by pread where the folder does not answer statfs', () => {
    const readers = openReaders(join(temp.path, 'not-there'), numbered(small), 'auto')
    const { kind } = readers.chosen()
    readers.close()
    expect(kind).toBe('pread')
  })
})

describe('regressions of the readers', () => {
  it.runIf(CAN_MAP)('a missing file is corrupt for the mmap reader, as the spec says and as pread has it', () => {
    expect(
      codeOf(() => openMmapReader(numbered({ path: join(temp.path, 'missing.zgq'), byteLength: PAGE }), libc()))
    ).toBe('ZGQ_CORRUPT')
  })
})
