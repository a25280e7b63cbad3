// Forged packed indexes with good checksums: each is refused, typed, within a second and 64 MB, by every command that
// reads it, or harmless. The same for files that are cut off, and for single bits that flipped.

import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { ZgqError } from '../src/errors.ts'
import { packIndex } from '../src/pack.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { buildSpecimens } from './support/forged-specimens.ts'
import { PackedFile, partStarts } from './support/forge/packed-file.ts'
import { INDEX_RECORD, PACKED_HEADER, SEGMENT_RECORD, FILE_RECORD } from './support/forge/structures.ts'
import { codeOf } from './support/errors.ts'
import { randomFrom } from './support/random.ts'
import { COMMANDS, runForged, type Outcome } from './support/run-forged.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('forged-packed', IN_MEMORY)
const SEED = 43
const [DIM, COUNT] = [8, 300]
const MOST_BYTES = 64 * 2 ** 20
/** Of processor time: the machine may be busy. */
const MOST_MS = 1000
const FLIPS = step(300, 3000)

const sound = join(temp.path, 'sound.zgqp')
const folder = join(temp.path, 'sound')

beforeAll(async () => {
  const folders = await buildSpecimens(temp, { count: COUNT, dim: DIM, seed: SEED })
  const index = folders.get('documents') ?? ''
  await packIndex({ index, output: sound })
  await packIndex({ index, output: folder, layout: 'folder' })
})

interface Forgery {
  readonly title: string
  /** `open`: whoever opens it refuses; `check`: a check does; `perhaps`: one or the other, or nobody. */
  readonly seen: 'open' | 'check' | 'perhaps'
  readonly codes: readonly string[]
  readonly forge: (packed: PackedFile) => void
}

const ANY = ['ZGQ_CORRUPT', 'ZGQ_TRUNCATED', 'ZGQ_UNSUPPORTED', 'ZGQ_MISMATCH', 'ZGQ_NOT_AN_INDEX']

function refused(title: string, forge: Forgery['forge'], codes: readonly string[] = ['ZGQ_CORRUPT']): Forgery {
  return { title, seen: 'open', codes, forge }
}

function perhaps(title: string, forge: Forgery['forge']): Forgery {
  return { title, seen: 'perhaps', codes: ANY, forge }
}

/** Values of an integer field that it does not have. */
const CHANGES: readonly (readonly [string, (value: number) => number | bigint])[] = [
  ['0', () => 0],
  ['1 more', (value) => value + 1],
  ['1 less', (value) => value - 1],
  ['2^32', () => 2 ** 32],
  ['2^53 - 1', () => 2 ** 53 - 1],
  ['2^63', () => 2n ** 63n]
]

const flip = (bytes: Uint8Array, at = 0): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))

const HEADER_FIELDS = Object.entries(PACKED_HEADER.fields).filter(([name]) => name !== 'magic')
const HEADERS: readonly Forgery[] = [
  refused(
    'the magic of a data file',
    (packed) => {
      packed.header((header) => {
        header.bytes[7] = 'V'.charCodeAt(0)
      })
    },
    ['ZGQ_NOT_AN_INDEX']
  ),
  ...HEADER_FIELDS.flatMap(([name, { type }]): Forgery[] => {
    const field = name as 'version'
    if (type.startsWith('bytes'))
      return [
        {
          title: `${name} of something else`,
          // What opening decodes has a CRC; the digest is for who wants to know.
          seen: name === 'digest' ? 'check' : 'open',
          codes: ['ZGQ_CORRUPT'],
          forge: (packed) => {
            packed.header((header) => {
              header.set(field, flip(header.bytesOf(field)))
            })
          }
        }
      ]
    return CHANGES.flatMap(([change, of]): Forgery[] => {
      const isLegal = ['readerFeatures', 'generation', 'commit'].includes(name) && change === '0'
      if (isLegal || (type === 'u32' && change.startsWith('2^'))) return []
      // Numbers of no files are harmless; so is the commit of an index that was never changed.
      return [
        refused(
          `${name}: ${change}`,
          (packed) => {
            packed.header((header) => {
              header.set(field, of(header.get(field)))
            })
          },
          ANY
        )
      ]
    })
  })
]

const LENGTHS = [
  'valuesByteLength',
  'partCount',
  'centroidPageCount',
  'zoneCodesByteLength',
  'fileCount',
  'segmentCount'
] as const
const OPENINGS: readonly Forgery[] = [
  ...LENGTHS.flatMap((name) =>
    CHANGES.map(([change, of]) =>
      refused(`${name}: ${change}`, (packed) => {
        packed.lengths((lengths) => {
          lengths.set(name, of(lengths.get(name)))
        })
      })
    )
  ),
  ...LENGTHS.slice(1).map((name) =>
    refused(`${name} taken from the values`, (packed) => {
      packed.lengths((lengths) => {
        lengths.set(name, lengths.get(name) + 40)
        lengths.set('valuesByteLength', lengths.get('valuesByteLength') - 1600)
      })
    })
  ),
  refused('nothing in the opening part', (packed) => {
    packed.opened(() => new Uint8Array(0))
  }),
  refused('an opening part that ends in its lengths', (packed) => {
    packed.opened((opened) => opened.subarray(0, 47))
  }),
  refused('a byte behind the segments', (packed) => {
    packed.opened((opened) => Buffer.concat([opened, Buffer.alloc(1)]))
  }),
  refused('an opening part that is not deflated', (packed) => {
    packed.opening((opening) => new Uint8Array(opening.length).fill(255))
  }),
  refused('an opening part without its last byte', (packed) => {
    packed.opening((opening) => opening.subarray(0, -1))
  }),
  refused('an opening part without its second half', (packed) => {
    packed.opening((opening) => opening.subarray(0, opening.length >> 1))
  }),
  refused('a stream that inflates to 64 MB', (packed) => {
    packed.opening(() => deflateRawSync(Buffer.alloc(2 ** 26)))
  }),
  refused('64 MB of zeros that it says', (packed) => {
    packed.opened(() => new Uint8Array(2 ** 26))
  }),
  refused('4 MB of zeros that its length may be of', (packed) => {
    packed.opened(() => new Uint8Array(2 ** 22))
    packed.opening((opening) => Buffer.concat([opening, Buffer.alloc(2 ** 16)]))
  }),
  refused('stored blocks of 1 MB that it does not say', (packed) => {
    packed.opening(() => deflateRawSync(Buffer.alloc(2 ** 20, 'abcdefg'), { level: 0 }))
  }),
  refused('16 MB behind a stream that ends early', (packed) => {
    packed.opening(() => Buffer.concat([deflateRawSync(Buffer.alloc(9)), Buffer.alloc(2 ** 24, 255)]))
    packed.header((header) => {
      header.set('openedByteLength', 3 * 2 ** 22)
    })
  }),
  perhaps('bytes behind the deflated stream', (packed) => {
    packed.opening((opening) => Buffer.concat([opening, Buffer.alloc(9)]))
  })
]

const KEYS = ['build', 'calibration', 'fields', 'index', 'model', 'note', 'quantizer'] as const
const INDEX_FIELDS = Object.entries(INDEX_RECORD.fields).filter(([, { type }]) => !type.startsWith('bytes'))
const VALUES: readonly Forgery[] = [
  ...['index', 'quantizer', 'fields'].map((key) =>
    refused(`no value ${key}`, (packed) => {
      packed.value(key, () => undefined)
    })
  ),
  ...KEYS.flatMap((key) => [
    perhaps(`the value ${key} without its last byte`, (packed) => {
      packed.value(key, (value) => value.subarray(0, -1))
    }),
    perhaps(`the value ${key} with a byte more`, (packed) => {
      packed.value(key, (value) => Buffer.concat([value, Buffer.alloc(1)]))
    }),
    perhaps(`no bytes in the value ${key}`, (packed) => {
      packed.value(key, () => new Uint8Array(0))
    }),
    perhaps(`255s in the value ${key}`, (packed) => {
      packed.value(key, (value) => value.map(() => 255))
    }),
    perhaps(`a megabyte in the value ${key}`, (packed) => {
      packed.value(key, () => new Uint8Array(2 ** 20))
    })
  ]),
  refused('values in descending order', (packed) => {
    packed.values = packed.values.reverse()
  }),
  refused('a value twice', (packed) => {
    packed.values = [packed.values[0], ...packed.values]
  }),
  refused('a key without a name', (packed) => {
    packed.values = [['', new Uint8Array(1)], ...packed.values]
  }),
  refused('a key of 65 bytes', (packed) => {
    packed.values = [['a'.repeat(65), new Uint8Array(1)], ...packed.values]
  }),
  refused('a value that is longer than all of them', (packed) => {
    packed.opened((opened) => {
      const changed = opened.slice()
      new DataView(changed.buffer).setUint32(48 + 4, 2 ** 32 - 1, true)
      return changed
    })
  }),
  refused('a fresh row', (packed) => {
    packed.values = [...packed.values.slice(0, 2), ['changes', changesOf(1)], ...packed.values.slice(2)]
  }),
  ...INDEX_FIELDS.flatMap(([name]) =>
    CHANGES.map(([change, of]) =>
      perhaps(`${name} of the index: ${change}`, (packed) => {
        const field = name as 'dim'
        packed.index((record) => {
          record.set(field, of(record.get(field)))
        })
      })
    )
  )
]

/** A record of changes with so many fresh rows. */
function changesOf(freshCount: number): Uint8Array {
  const bytes = new Uint8Array(64)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, 10n, true)
  view.setBigUint64(8, BigInt(freshCount), true)
  return bytes
}

const RECORDS: readonly Forgery[] = [
  ...CHANGES.map(([change, of]) =>
    refused(`the length of the centroids: ${change}`, (packed) => {
      packed.partRecords(([part]) => {
        part.set('byteLength', of(part.get('byteLength')))
      })
    })
  ),
  ...CHANGES.map(([change, of]) =>
    refused(`the length of a file among the parts: ${change}`, (packed) => {
      packed.partRecords(([, , part]) => {
        part.set('byteLength', of(part.get('byteLength')))
      })
    })
  ),
  refused(
    'parts that have changed places',
    (packed) => {
      packed.parts.splice(1, 2, packed.parts[2], packed.parts[1])
    },
    ANY
  ),
  ...[0, 1, 3].map((i): Forgery => ({
    title: `the digest of part ${i}`,
    seen: 'check',
    codes: ['ZGQ_CORRUPT'],
    forge: (packed) => {
      packed.partRecords((parts) => {
        parts[i].set('digest', flip(parts[i].bytesOf('digest')))
      })
    }
  })),
  ...Object.entries(FILE_RECORD.fields).flatMap(([name]) =>
    CHANGES.map(([change, of]) =>
      perhaps(`${name} of a file: ${change}`, (packed) => {
        const field = name as 'file'
        packed.files[1].set(field, of(packed.files[1].get(field)))
      })
    )
  ),
  ...Object.entries(SEGMENT_RECORD.fields).flatMap(([name]) =>
    CHANGES.map(([change, of]) =>
      perhaps(`${name} of a segment: ${change}`, (packed) => {
        const field = name as 'segment'
        packed.segments[2].set(field, of(Math.round(packed.segments[2].get(field))))
      })
    )
  ),
  refused('a file twice', (packed) => {
    packed.files = [packed.files[0], ...packed.files]
  }),
  refused('no files', (packed) => {
    packed.files = []
  }),
  refused('no segments', (packed) => {
    packed.segments = []
  }),
  refused('a segment twice', (packed) => {
    packed.segments = [...packed.segments, packed.segments[0]]
  }),
  refused('a segment beyond its file', (packed) => {
    packed.segments[1].set('rowsOffset', 2 ** 40)
  })
]

const CENTROIDS: readonly Forgery[] = [
  refused('a page of centroids with another CRC', (packed) => {
    packed.centroidCrcs = Uint32Array.of(7)
  }),
  refused('a centroid that is not a number', (packed) => {
    packed.parts[0].fill(255, 4, 8)
  }),
  refused('an infinite centroid', (packed) => {
    packed.parts[0].set([0, 0, 128, 127], 8)
  }),
  refused('no page of centroids', (packed) => {
    packed.parts[0] = new Uint8Array(0)
  }),
  refused('a page of centroids too many', (packed) => {
    packed.parts[0] = new Uint8Array(2 * 4096)
  }),
  refused('no codes of centroids', (packed) => {
    packed.zoneCodes = new Uint8Array(0)
  }),
  {
    title: 'codes of centroids that are no numbers',
    seen: 'check',
    codes: ['ZGQ_CORRUPT'],
    forge: (packed) => {
      packed.zoneCodes.fill(255)
    }
  },
  {
    title: 'zeros in the place of centroids',
    seen: 'check',
    codes: ['ZGQ_CORRUPT'],
    forge: (packed) => {
      packed.parts[0].fill(0)
    }
  }
]

const GROUPS: readonly (readonly [string, readonly Forgery[]])[] = [
  ['headers', HEADERS],
  ['opening parts', OPENINGS],
  ['values', VALUES],
  ['records', RECORDS],
  ['centroids', CENTROIDS]
]

/** What writes is refused for every packed index. */
const READING = [...COMMANDS.filter((command) => command !== 'calibrate'), 'remote']
const FEW = ['open', 'codes', 'exact', 'documents', 'check', 'remote']

function complaintsOf({ seen, codes }: Forgery, outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap(({ command, outcome, cpuMs, bytes }) => {
    const isSeen = seen === 'open' || (seen === 'check' && command === 'check')
    const allowed = isSeen ? codes : ['fine', ...codes]
    return [
      ...(allowed.includes(outcome) ? [] : [`${command}: ${outcome}`]),
      ...(cpuMs <= MOST_MS ? [] : [`${command}: took ${Math.round(cpuMs)} ms`]),
      ...(bytes <= MOST_BYTES ? [] : [`${command}: took ${Math.round(bytes / 2 ** 20)} MB`])
    ]
  })
}

describe.each(GROUPS)(`forged %s of a packed index (seed ${SEED})`, (_, forgeries) => {
  let paths: readonly string[] = []
  let outcomes: readonly Outcome[] = []

  beforeAll(async () => {
    paths = forgeries.map(({ forge }) => {
      const packed = new PackedFile(sound)
      forge(packed)
      const path = temp.fresh('forged.zgqp')
      writeFileSync(path, packed.bytes())
      return path
    })
    const jobs = paths.flatMap((path, i) =>
      (forgeries[i].seen === 'perhaps' ? FEW : READING).map((command) => ({ folder: path, command }))
    )
    outcomes = await runForged(jobs, temp.fresh('jobs.json'), {})
  })

  it.each(forgeries.map((forgery, i) => ({ ...forgery, i })))('$seen: $title', ({ i, ...forgery }) => {
    const found = outcomes.filter((outcome) => outcome.folder === paths[i])
    expect(found.length).toBeGreaterThan(0)
    expect(complaintsOf(forgery, found)).toEqual([])
  })
})

it('a packed index that a forger made anew without forging is sound', async () => {
  const path = temp.fresh('again.zgqp')
  writeFileSync(path, new PackedFile(sound).bytes())
  expect(await checkIndex(path)).toMatchObject({ ok: true })
})

/** What an index answers, or the code of the error. */
function answersOf(path: string): string {
  try {
    using index = ZgqIndex.open<string>(path, { threads: 0, mapping: 'pread' })
    const query = new Float32Array(DIM).fill(0.5)
    return JSON.stringify([
      index.search(query, { k: 20, payload: true }),
      index.search(query, { nprobe: 100, rerank: 1 }),
      index.search(query, { exact: true, k: 1000, filter: { kind: 'c1' } }),
      [...index.ids()],
      index.get('note 0.md#0'),
      index.count({ draft: true })
    ])
  } catch (error) {
    if (error instanceof ZgqError) return error.code
    throw error
  }
}

describe('a packed index', () => {
  it(
    `with a bit flipped is refused or answers the same, ${FLIPS} times (seed ${SEED})`,
    { timeout: 600_000 },
    async () => {
      const random = randomFrom(SEED)
      const expected = answersOf(sound)
      const bytes = readFileSync(sound)
      const heads = partStarts(sound)[0]
      const path = temp.fresh('flipped.zgqp')
      let refusals = 0
      for (let i = 0; i < FLIPS; i++) {
        // Half of them in the head, which is a small share of the file.
        const at = Math.floor(random() * (i % 2 === 0 ? heads : bytes.byteLength))
        const bit = 1 << Math.floor(random() * 8)
        bytes[at] ^= bit
        writeFileSync(path, bytes)
        bytes[at] ^= bit
        const found = answersOf(path)
        if (found === expected) continue
        refusals++
        expect(found, `byte ${at}, bit ${bit}`).toMatch(/^ZGQ_(CORRUPT|TRUNCATED|UNSUPPORTED|MISMATCH|NOT_AN_INDEX)$/)
        await expect(checkIndex(path), `byte ${at}, bit ${bit}`).rejects.toBeInstanceOf(ZgqError)
      }
      expect(refusals).toBeGreaterThan(FLIPS / 10)
    }
  )

  it('that is cut off, or goes on, is refused', () => {
    const bytes = readFileSync(sound)
    const starts = partStarts(sound)
    const lengths = [
      0,
      1,
      7,
      8,
      9,
      100,
      4095,
      4096,
      4097,
      5000,
      ...starts.flatMap((start) => [start - 4096, start - 1, start, start + 1])
    ]
    const path = temp.fresh('cut.zgqp')
    for (const byteLength of lengths) {
      if (byteLength === bytes.byteLength) continue
      writeFileSync(path, bytes.subarray(0, byteLength))
      if (byteLength > bytes.byteLength)
        writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(byteLength - bytes.byteLength)]))
      const expected =
        byteLength < 8 ? 'ZGQ_NOT_AN_INDEX' : byteLength < bytes.byteLength ? 'ZGQ_TRUNCATED' : 'ZGQ_CORRUPT'
      expect([byteLength, codeOf(() => ZgqIndex.open(path))]).toEqual([byteLength, expected])
    }
  })
})

describe('a folder of parts', () => {
  const broken = (breakIt: (path: string) => void): string => {
    const path = temp.fresh('parts')
    cpSync(folder, path, { recursive: true })
    breakIt(path)
    return answersOf(path)
  }

  it('whose manifest is cut off, goes on, or is of a file, is refused', () => {
    const manifest = 'manifest-000001'
    const bytes = readFileSync(join(folder, manifest))
    const withManifest = (changed: Uint8Array): string =>
      broken((path) => {
        writeFileSync(join(path, manifest), changed)
      })
    expect(withManifest(bytes)).toBe(answersOf(sound))
    for (const byteLength of [0, 7]) expect(withManifest(bytes.subarray(0, byteLength))).toBe('ZGQ_NOT_AN_INDEX')
    for (const byteLength of [8, 4095, 4096, bytes.byteLength - 1])
      expect(withManifest(bytes.subarray(0, byteLength))).toBe('ZGQ_TRUNCATED')
    expect(withManifest(Buffer.concat([bytes, Buffer.alloc(4096)]))).toBe('ZGQ_CORRUPT')
    expect(withManifest(readFileSync(sound))).toBe('ZGQ_CORRUPT')
    const one = readFileSync(sound)
    const opening = partStarts(sound)[0]
    expect(withManifest(one.subarray(0, opening))).toBe('ZGQ_CORRUPT')
  })

  it('with the parts of another index under the names of its own is refused', () => {
    const swapped = broken((path) => {
      const names = readdirSync(path).filter((name) => name.endsWith('.zgq'))
      for (const name of names) {
        const bytes = readFileSync(join(path, name))
        writeFileSync(
          join(path, name),
          bytes.map((byte) => byte ^ 255)
        )
      }
    })
    expect(swapped).toBe('ZGQ_CORRUPT')
  })

  it('that is a manifest alone names the part that is missing', () => {
    const path = temp.fresh('alone')
    mkdirSync(path)
    copyFileSync(join(folder, 'manifest-000001'), join(path, 'manifest-000001'))
    expect(codeOf(() => ZgqIndex.open(path))).toBe('ZGQ_CORRUPT')
  })
})
