// A damaged index gives the right answer or a ZgqError: never another exception, a crash, a hang or a wrong answer.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import Sqlite from 'better-sqlite3'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, calibrateIndex } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { HEADER } from '../src/format/header.ts'
import type { ColumnsLayout } from '../src/format/columns.ts'
import type { FILE_RECORD } from '../src/format/file-record.ts'
import type { INDEX_RECORD } from '../src/format/index-record.ts'
import { CATALOGUE_NAME, PAGE_BYTES, type Extent } from '../src/format/layout.ts'
import type { SEGMENT_RECORD } from '../src/format/segment-record.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { makeVectors } from './support/datasets.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { forged } from './support/format-samples.ts'
import {
  bytesOf,
  changeCatalogue,
  dataFileOf,
  describeError,
  forgeCatalogue,
  forgeCodes,
  forgeMeta,
  isSafe,
  outcomeOf,
  regionsOf,
  replaceFile,
  restoreAll,
  SEARCHES,
  specimenOf,
  withBytes,
  type ForgedCatalogue,
  type Region,
  type Specimen
} from './support/index-damage.ts'
import { randomFrom } from './support/random.ts'
import { ROOT } from './support/sources.ts'
import { MAPPINGS } from './support/mappings.ts'
import { fileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('damage', IN_MEMORY)
const SEED = 31
const DIM = 8
const COUNT = 300
const METRICS = ['l2', 'cosine'] as const
const BITS = { l2: 2, cosine: 4 } as const
const KINDS = ['vectors', 'codes'] as const
const CASES = METRICS.flatMap((metric) => KINDS.map((kind) => [kind, metric] as const))

async function build(metric: (typeof METRICS)[number], seed: number): Promise<Specimen> {
  const folder = temp.fresh(metric)
  await buildIndex({
    input: makeVectors('clustered', { count: COUNT, dim: DIM }, SEED),
    dim: DIM,
    metric,
    bits: BITS[metric],
    zones: 6,
    seed,
    output: folder
  })
  return specimenOf(
    folder,
    [0, 1, 2].map((i) => makeVectors('clustered', { count: 1, dim: DIM }, SEED + 1 + i))
  )
}

/**
 * Builds with other seeds until the data files have the same lengths: only then is it for their headers to tell them
 * apart.
 */
async function buildOfOneLength(metric: (typeof METRICS)[number], specimen: Specimen): Promise<Specimen> {
  const lengths = (of: Specimen): string => KINDS.map((kind) => bytesOf(of, dataFileOf(of, kind)).byteLength).join()
  for (let seed = 2; seed < 30; seed++) {
    const other = await build(metric, seed)
    if (lengths(other) === lengths(specimen)) return other
  }
  throw new Error('no seed gives data files of the same lengths')
}

const specimens = new Map<string, Specimen>()
beforeAll(async () => {
  for (const metric of METRICS) specimens.set(metric, await build(metric, 1))
})
afterEach(() => {
  for (const specimen of specimens.values()) restoreAll(specimen)
})

function specimenWith(metric: string): Specimen {
  const specimen = specimens.get(metric)
  if (specimen === undefined) throw new Error(`nothing was built for ${metric}`)
  return specimen
}

const FILES = ['catalogue', ...KINDS] as const

function fileOf(specimen: Specimen, kind: (typeof FILES)[number]): string {
  return kind === 'catalogue' ? CATALOGUE_NAME : dataFileOf(specimen, kind)
}

async function outcomeOfCheck(folder: string): Promise<string> {
  return checkIndex(folder).then(() => 'right', describeError)
}

/** A bit turned over in most cases, several in others; never the byte as it was. */
function damagedByte(byte: number, random: () => number): Uint8Array {
  const mask = random() < 0.7 ? 1 << Math.floor(random() * 8) : 1 + Math.floor(random() * 255)
  return Uint8Array.of(byte ^ mask)
}

/**
 * How many bytes lie between two that are damaged, by region; headers and columns change answers in more ways than
 * rows.
 */
const STRIDES: Record<(typeof METRICS)[number], Record<Region, number> & { catalogue: number }> = {
  l2: {
    header: 1,
    columns: step(7),
    codes: step(23, 5),
    directory: step(5),
    footer: 1,
    segment: step(101, 23),
    padding: step(401, 101),
    catalogue: step(11)
  },
  cosine: {
    header: step(9, 7),
    columns: step(13, 3),
    codes: step(41, 11),
    directory: step(11, 5),
    footer: step(5, 3),
    segment: step(151, 41),
    padding: step(601, 307),
    catalogue: step(61, 11)
  }
}
/** Bytes of the header page that hold fields; the zeros behind them are damaged at a wider stride. */
const HEADER_FIELD_BYTES = 112

function chosenOffsets(regions: readonly Region[], strides: Record<Region, number>): number[] {
  const seen: Partial<Record<Region, number>> = {}
  return Array.from(regions.keys()).filter((offset) => {
    const region = regions[offset]
    const number = seen[region] ?? 0
    seen[region] = number + 1
    const isZeros = region === 'header' && offset >= HEADER_FIELD_BYTES && offset < PAGE_BYTES - 4
    return number % (isZeros ? 29 : strides[region]) === 0
  })
}

describe.each(CASES)(`bits turned over in the %s of an index (%s, seed ${SEED})`, (kind, metric) => {
  it('give an error where a search reads them, else the right answer', () => {
    const specimen = specimenWith(metric)
    const name = dataFileOf(specimen, kind)
    const regions = regionsOf(specimen, kind)
    const random = randomFrom(SEED)
    const wrong: unknown[] = []
    for (const offset of chosenOffsets(regions, STRIDES[metric])) {
      const bytes = damagedByte(bytesOf(specimen, name)[offset], random)
      const mapping = MAPPINGS[Math.floor(random() * 2)]
      const outcome = withBytes(specimen, { name, offset, bytes }, () => outcomeOf(specimen, { mapping }))
      const isRead = ['header', 'segment', 'columns', 'codes'].includes(regions[offset])
      if (!isSafe(outcome) || (outcome === 'right') === isRead)
        wrong.push({ offset, region: regions[offset], byte: bytes[0], mapping, outcome })
    }
    expect(wrong).toEqual([])
  })

  it('are rejected by a check, unless they are padding', async () => {
    const specimen = specimenWith(metric)
    const name = dataFileOf(specimen, kind)
    const regions = regionsOf(specimen, kind)
    const random = randomFrom(SEED + 1)
    const wrong: unknown[] = []
    for (const offset of chosenOffsets(regions, STRIDES[metric])) {
      const bytes = damagedByte(bytesOf(specimen, name)[offset], random)
      const outcome = await withBytes(specimen, { name, offset, bytes }, () => outcomeOfCheck(specimen.folder))
      if (!isSafe(outcome) || (outcome === 'right') !== (regions[offset] === 'padding'))
        wrong.push({ offset, region: regions[offset], byte: bytes[0], outcome })
    }
    expect(wrong).toEqual([])
  })

  it('throw nothing but a ZgqError where they are not verified', () => {
    const specimen = specimenWith(metric)
    const name = dataFileOf(specimen, kind)
    const regions = regionsOf(specimen, kind)
    const random = randomFrom(SEED + 2)
    const wrong: unknown[] = []
    for (const offset of chosenOffsets(regions, { ...STRIDES.cosine, columns: step(17, 5), segment: step(211, 101) })) {
      const bytes = damagedByte(bytesOf(specimen, name)[offset], random)
      const mapping = MAPPINGS[Math.floor(random() * 2)]
      const outcome = withBytes(specimen, { name, offset, bytes }, () =>
        outcomeOf(specimen, { mapping, verify: 'none' })
      )
      if (!isSafe(outcome) && outcome !== 'wrong')
        wrong.push({ offset, region: regions[offset], byte: bytes[0], mapping, outcome })
    }
    expect(wrong).toEqual([])
  })
})

describe.each(METRICS)(`bits turned over in the catalogue of an index (%s, seed ${SEED})`, (metric) => {
  it('give the right answer or an error', () => {
    const specimen = specimenWith(metric)
    const bytes = bytesOf(specimen, CATALOGUE_NAME)
    const random = randomFrom(SEED + 3)
    const wrong: unknown[] = []
    for (let offset = 0; offset < bytes.byteLength; offset += STRIDES[metric].catalogue) {
      const damaged = damagedByte(bytes[offset], random)
      const mapping = MAPPINGS[Math.floor(random() * 2)]
      const outcome = withBytes(specimen, { name: CATALOGUE_NAME, offset, bytes: damaged }, () =>
        outcomeOf(specimen, { mapping })
      )
      if (!isSafe(outcome)) wrong.push({ offset, byte: damaged[0], mapping, outcome })
    }
    expect(wrong).toEqual([])
    expect(readdirSync(specimen.folder)).toEqual(Array.from(specimen.files.keys()))
  })
})

describe.each(METRICS)('a file of an index (%s)', (metric) => {
  const lengthsBelow = (byteLength: number): number[] =>
    Array.from({ length: Math.ceil(byteLength / 512) }, (_, i) => i * 512)
      .flatMap((length) => (length % PAGE_BYTES === 0 ? [length, length + 1, length - 1] : [length]))
      .concat(byteLength - 1)
      .filter((length) => length >= 0 && length < byteLength)

  it.each(MAPPINGS.flatMap((mapping) => KINDS.map((kind) => [kind, mapping] as const)))(
    'that is cut short gives ZGQ_TRUNCATED: the %s, at any length (%s)',
    (kind, mapping) => {
      const specimen = specimenWith(metric)
      const name = dataFileOf(specimen, kind)
      const whole = bytesOf(specimen, name)
      const outcomes = lengthsBelow(whole.byteLength).map((length) => {
        replaceFile(specimen, name, whole.subarray(0, length))
        return { length, outcome: outcomeOf(specimen, { mapping }) }
      })
      expect(outcomes.filter(({ outcome }) => outcome !== 'ZGQ_TRUNCATED')).toEqual([])
    }
  )

  it('that is cut short gives the right answer or an error: the catalogue, at any length', () => {
    const specimen = specimenWith(metric)
    const whole = bytesOf(specimen, CATALOGUE_NAME)
    const outcomes = lengthsBelow(whole.byteLength).map((length) => {
      replaceFile(specimen, CATALOGUE_NAME, whole.subarray(0, length))
      return { length, outcome: outcomeOf(specimen, {}) }
    })
    expect(outcomes.filter(({ outcome }) => !isSafe(outcome))).toEqual([])
  })

  it.each([1, 100, PAGE_BYTES, 10 * PAGE_BYTES].flatMap((more) => KINDS.map((kind) => [more, kind] as const)))(
    'that has grown by %d bytes gives ZGQ_CORRUPT: the %s',
    (more, kind) => {
      const specimen = specimenWith(metric)
      const name = dataFileOf(specimen, kind)
      replaceFile(specimen, name, Buffer.concat([bytesOf(specimen, name), Buffer.alloc(more)]))
      expect(MAPPINGS.map((mapping) => outcomeOf(specimen, { mapping }))).toEqual(['ZGQ_CORRUPT', 'ZGQ_CORRUPT'])
    }
  )

  it.each([1, 100, PAGE_BYTES])(
    'that has grown by %d bytes gives the right answer or an error: the catalogue',
    (more) => {
      const specimen = specimenWith(metric)
      replaceFile(specimen, CATALOGUE_NAME, Buffer.concat([bytesOf(specimen, CATALOGUE_NAME), Buffer.alloc(more, 7)]))
      expect(outcomeOf(specimen, {})).toSatisfy(isSafe)
    }
  )

  it('with a page of zeros gives the right answer or an error', () => {
    const specimen = specimenWith(metric)
    const outcomes = Array.from(specimen.files)
      .flatMap(([name, { byteLength }]) =>
        Array.from({ length: byteLength / PAGE_BYTES }, (_, page) =>
          MAPPINGS.map((mapping) => ({
            name,
            page,
            mapping,
            outcome: withBytes(specimen, { name, offset: page * PAGE_BYTES, bytes: new Uint8Array(PAGE_BYTES) }, () =>
              outcomeOf(specimen, { mapping })
            )
          }))
        )
      )
      .flat()
    expect(outcomes.filter(({ outcome }) => !isSafe(outcome))).toEqual([])
  })

  it('with two pages exchanged gives the right answer or an error', () => {
    const specimen = specimenWith(metric)
    const outcomes = Array.from(specimen.files).flatMap(([name, bytes]) => {
      const page = (number: number): Buffer => bytes.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES)
      const numbers = Array.from({ length: bytes.byteLength / PAGE_BYTES }, (_, i) => i)
      return numbers.flatMap((a) =>
        numbers
          .filter((b) => b > a)
          .map((b) => {
            const mapping = MAPPINGS[(a + b) % 2]
            const outcome = withBytes(specimen, { name, offset: a * PAGE_BYTES, bytes: page(b) }, () =>
              withBytes(specimen, { name, offset: b * PAGE_BYTES, bytes: page(a) }, () =>
                outcomeOf(specimen, { mapping })
              )
            )
            return { name, a, b, mapping, outcome }
          })
      )
    })
    expect(outcomes.filter(({ outcome }) => !isSafe(outcome))).toEqual([])
  })

  it(`with a stretch of random bytes gives the right answer or an error (seed ${SEED})`, () => {
    const specimen = specimenWith(metric)
    const names = Array.from(specimen.files.keys())
    const random = randomFrom(SEED)
    const outcomes = Array.from({ length: 400 / step(4) }, (_, i) => {
      const name = names[i % names.length]
      const offset = Math.floor(random() * bytesOf(specimen, name).byteLength)
      const length = Math.min(1 + Math.floor(random() ** 3 * 2000), bytesOf(specimen, name).byteLength - offset)
      const bytes = Uint8Array.from({ length }, () => random() * 256)
      return {
        name,
        offset,
        length,
        outcome: withBytes(specimen, { name, offset, bytes }, () =>
          outcomeOf(specimen, { mapping: MAPPINGS[Math.floor(i / names.length) % 2] })
        )
      }
    })
    expect(outcomes.filter(({ outcome }) => !isSafe(outcome))).toEqual([])
  })

  it('of random bytes gives an error', () => {
    const specimen = specimenWith(metric)
    const random = randomFrom(SEED)
    const outcomes = Array.from(specimen.files).map(([name, bytes]) => {
      replaceFile(
        specimen,
        name,
        Uint8Array.from(bytes, () => random() * 256)
      )
      const outcome = outcomeOf(specimen, {})
      restoreAll(specimen)
      return outcome
    })
    expect(outcomes).toEqual(['ZGQ_NOT_AN_INDEX', 'ZGQ_CORRUPT', 'ZGQ_CORRUPT', 'ZGQ_CORRUPT'])
  })

  it.each([
    ['catalogue', 'ZGQ_NOT_AN_INDEX'],
    ['vectors', 'ZGQ_CORRUPT'],
    ['codes', 'ZGQ_CORRUPT']
  ] as const)('that is missing gives an error: the %s (%s)', async (kind, code) => {
    const specimen = specimenWith(metric)
    unlinkSync(join(specimen.folder, fileOf(specimen, kind)))
    expect([
      ...MAPPINGS.map((mapping) => outcomeOf(specimen, { mapping })),
      await outcomeOfCheck(specimen.folder)
    ]).toEqual([code, code, code])
  })

  it.each(FILES)('of another build of the same vectors gives ZGQ_MISMATCH: the %s', async (kind) => {
    const specimen = specimenWith(metric)
    const other = await buildOfOneLength(metric, specimen)
    const file = fileOf(specimen, kind)
    copyFileSync(join(other.folder, file), join(specimen.folder, file))
    expect([
      ...MAPPINGS.map((mapping) => outcomeOf(specimen, { mapping })),
      await outcomeOfCheck(specimen.folder)
    ]).toEqual(Array(3).fill('ZGQ_MISMATCH'))
  })

  it.each(FILES)('of another build under another metric gives an error: the %s', async (kind) => {
    const specimen = specimenWith(metric)
    const other = await build(metric === 'l2' ? 'cosine' : 'l2', 1)
    const file = fileOf(specimen, kind)
    copyFileSync(join(other.folder, file), join(specimen.folder, file))
    expect(outcomeOf(specimen, {})).toMatch(/^ZGQ_(MISMATCH|TRUNCATED|CORRUPT)$/)
  })
})

describe('codes whose checksums fit, but not what they say', () => {
  const wrong: readonly (readonly [
    string,
    (layout: ColumnsLayout) => Extent | undefined,
    (bytes: Uint8Array) => void
  ])[] = [
    [
      'an id that is not that of the row',
      (layout) => layout.ids,
      (bytes) => {
        bytes[0] ^= 1
      }
    ],
    [
      'a page CRC that is not that of the segment',
      (layout) => layout.pageCrcs,
      (bytes) => {
        bytes[0] ^= 1
      }
    ],
    [
      'a row more in the last block',
      (layout) => layout.planes,
      (bytes) => {
        bytes[bytes.byteLength - 12 - 4 - 4 - 128 + 3] = 0
      }
    ]
  ]

  it.each(wrong)('give ZGQ_CORRUPT by a check and by verify: open: %s', async (_, column, change) => {
    const specimen = specimenWith('l2')
    forgeCodes(specimen, readCatalogue(specimen.folder).segments.at(2), column, change)
    expect([outcomeOf(specimen, { verify: 'open' }), await outcomeOfCheck(specimen.folder)]).toEqual([
      'ZGQ_CORRUPT',
      'ZGQ_CORRUPT'
    ])
  })

  it('give the right answer if nothing was changed but the checksums made again', async () => {
    const specimen = specimenWith('l2')
    forgeCodes(
      specimen,
      readCatalogue(specimen.folder).segments.at(2),
      (layout) => layout.planes,
      () => undefined
    )
    expect([outcomeOf(specimen, { verify: 'open' }), await outcomeOfCheck(specimen.folder)]).toEqual(['right', 'right'])
  })
})

describe('a quantizer in the catalogue', () => {
  it.each([
    "DELETE FROM meta WHERE key = 'quantizer'",
    "UPDATE meta SET value = x'c0' WHERE key = 'quantizer'",
    "UPDATE meta SET crc = crc + 1 WHERE key = 'quantizer'"
  ])('gives ZGQ_CORRUPT if it was changed: %s', async (statement) => {
    const specimen = specimenWith('l2')
    changeCatalogue(specimen.folder, statement)
    expect([outcomeOf(specimen, {}), await outcomeOfCheck(specimen.folder)]).toEqual(['ZGQ_CORRUPT', 'ZGQ_CORRUPT'])
  })

  /** Section 8.1 of the spec: rounds, a reserved word, the mean and the flips, two bytes a round here. */
  const quantizer = (of: { rounds?: number; flips?: number; mean?: Uint8Array }): Uint8Array => {
    const { rounds = 4, flips = 8, mean = new Uint8Array(DIM * 4) } = of
    return Uint8Array.of(rounds, 0, 0, 0, 0, 0, 0, 0, ...mean, ...new Uint8Array(flips))
  }

  it('gives no error if nothing was wrong with it', () => {
    const specimen = specimenWith('l2')
    forgeMeta(specimen.folder, 'quantizer', quantizer({}))
    expect(outcomeOf(specimen, {})).toSatisfy((outcome) => outcome === 'right' || outcome === 'wrong')
  })

  it.each([
    ['nothing', new Uint8Array(0)],
    ['MessagePack, as version 1 had it', Uint8Array.of(0xc0)],
    ['without flips', quantizer({ flips: 0 })],
    ['without a mean', quantizer({ mean: new Uint8Array(0) })],
    ['with no rounds', quantizer({ rounds: 0, flips: 0 })],
    ['with very many rounds', quantizer({ rounds: 17, flips: 34 })],
    ['with half of the flips', quantizer({ flips: 4 })],
    ['with a mean of other dimensions', quantizer({ mean: new Uint8Array(DIM * 4 + 4) })],
    ['with a mean that is no number', quantizer({ mean: new Uint8Array(DIM * 4).fill(0xff) })]
  ])('gives ZGQ_CORRUPT though its CRC fits: %s', (_, value) => {
    const specimen = specimenWith('l2')
    forgeMeta(specimen.folder, 'quantizer', value)
    expect(outcomeOf(specimen, {})).toBe('ZGQ_CORRUPT')
  })
})

describe('verify: open', () => {
  it('finds a damaged code before the first search', () => {
    const specimen = specimenWith('cosine')
    const name = dataFileOf(specimen, 'codes')
    const offset = regionsOf(specimen, 'codes').lastIndexOf('codes')
    const change = { name, offset, bytes: Uint8Array.of(bytesOf(specimen, name)[offset] ^ 1) }
    const [open, touch] = withBytes(specimen, change, () => [
      errorOf(() => ZgqIndex.open(specimen.folder, { verify: 'open' })),
      ZgqIndex.open(specimen.folder)
    ])
    touch.close()
    expect(open).toMatchObject({ code: 'ZGQ_CORRUPT', path: join(specimen.folder, name) })
  })

  it('finds a damaged row before the first search', () => {
    const specimen = specimenWith('l2')
    const change = { name: dataFileOf(specimen), offset: PAGE_BYTES + 100, bytes: Uint8Array.of(77) }
    expect(withBytes(specimen, change, () => codeOf(() => ZgqIndex.open(specimen.folder, { verify: 'open' })))).toBe(
      'ZGQ_CORRUPT'
    )
  })
})

describe('a search that meets damage', () => {
  const damageZone = (specimen: Specimen): { name: string; offset: number; bytes: Uint8Array } => ({
    name: dataFileOf(specimen),
    offset: PAGE_BYTES + 100,
    bytes: Uint8Array.of(77)
  })

  it('says in which file and where', () => {
    const specimen = specimenWith('l2')
    const name = dataFileOf(specimen)
    const index = ZgqIndex.open(specimen.folder)
    const work = (): unknown => {
      try {
        return index.search(specimen.queries[0], { exact: true })
      } catch (error) {
        return error
      } finally {
        index.close()
      }
    }
    expect(withBytes(specimen, damageZone(specimen), work)).toMatchObject({
      code: 'ZGQ_CORRUPT',
      path: join(specimen.folder, name),
      offset: PAGE_BYTES
    })
  })

  it.each(MAPPINGS)('fails again when it is repeated, and answers when the damage is mended (%s)', (mapping) => {
    const specimen = specimenWith('l2')
    const index = ZgqIndex.open(specimen.folder, { mapping })
    const search = (): unknown => index.search(specimen.queries[0], { exact: true, k: 20 })
    try {
      withBytes(specimen, damageZone(specimen), () => {
        expect([codeOf(search), codeOf(search)]).toEqual(['ZGQ_CORRUPT', 'ZGQ_CORRUPT'])
      })
      expect(JSON.stringify(search())).toBe(JSON.stringify(JSON.parse(specimen.answers)[0][1]))
    } finally {
      index.close()
    }
  })

  it.each(MAPPINGS)('leaves zones without damage searchable (%s)', (mapping) => {
    const specimen = specimenWith('l2')
    const index = ZgqIndex.open(specimen.folder, { mapping })
    try {
      const outcomes = withBytes(specimen, damageZone(specimen), () =>
        Array.from({ length: 30 }, (_, i) => {
          try {
            return index.search(makeVectors('clustered', { count: 1, dim: DIM }, i), { nprobe: 1 }).length
          } catch (error) {
            return describeError(error)
          }
        })
      )
      expect(new Set(outcomes)).toEqual(new Set([10, 'ZGQ_CORRUPT']))
    } finally {
      index.close()
    }
  })
})

/** SQL that writes bytes over the records of a table. */
function patch(table: string, at: number, ...bytes: readonly number[]): string {
  const hex = Buffer.from(bytes).toString('hex')
  const rest = at + 1 + bytes.length
  return (
    `UPDATE ${table} SET records = ` +
    `CAST(substr(records, 1, ${at}) || x'${hex}' || substr(records, ${rest}) AS BLOB)`
  )
}

/** Bytes of records of files and segments (spec, sections 7.2 and 7.3), and where fields are. */
const FILE_BYTES = 64
const SEGMENT_BYTES = 176
const ROW_COUNT_AT = 16

describe('rows of the catalogue that were changed without their checksums', () => {
  it.each([
    `UPDATE segments SET records = substr(records, 1, ${5 * SEGMENT_BYTES}), count = 5`,
    `UPDATE segments SET records = substr(records, ${SEGMENT_BYTES + 1}), count = 5, first = 1`,
    'DELETE FROM segments',
    patch('segments', 2 * SEGMENT_BYTES + ROW_COUNT_AT, 1),
    patch('segments', 2 * SEGMENT_BYTES + 40, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f),
    'UPDATE zones SET records = zeroblob(192)',
    "UPDATE zones SET records = x'00'",
    'DELETE FROM zones',
    'DROP TABLE zones',
    'UPDATE zones SET count = 5',
    'UPDATE zone_codes SET count = 5',
    'UPDATE zone_codes SET records = zeroblob(length(records))',
    'DELETE FROM zone_codes',
    'DROP TABLE zone_codes',
    'UPDATE segments SET first = 77',
    'UPDATE segments SET first = -1',
    "UPDATE segments SET count = 'six'",
    'UPDATE segments SET count = 0',
    'UPDATE segments SET count = -6',
    'UPDATE segments SET count = 9223372036854775807',
    patch('segments', SEGMENT_BYTES + 56, 0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
    patch('segments', SEGMENT_BYTES + 56, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
    "UPDATE zones SET records = 'text'",
    'UPDATE zones SET first = 1',
    'UPDATE segments SET crc = 0',
    'UPDATE files SET crc = crc + 1',
    "UPDATE files SET crc = 'none'",
    patch('files', 24, 3),
    patch('files', 32, 1),
    patch('files', 8, 2),
    'DELETE FROM files',
    `UPDATE files SET records = substr(records, 1, ${FILE_BYTES}), count = 1`,
    'UPDATE files SET first = first + 2',
    'INSERT INTO files SELECT first + 2, count, records, crc FROM files',
    'INSERT INTO segments SELECT first + 6, count, records, crc FROM segments',
    'INSERT INTO zones SELECT first + 6, count, records, crc FROM zones',
    'DELETE FROM meta',
    "DELETE FROM meta WHERE key = 'index'",
    "UPDATE meta SET value = x'c0' WHERE key = 'index'",
    "UPDATE meta SET value = 'text'",
    "UPDATE meta SET key = 'other' WHERE key = 'index'",
    'DROP TABLE segments',
    'DROP TABLE meta',
    'DROP TABLE files',
    'ALTER TABLE zones RENAME COLUMN records TO rows',
    'DROP TABLE files; CREATE VIEW files AS SELECT 1 AS first'
  ])('give ZGQ_CORRUPT: %s', async (statement) => {
    const specimen = specimenWith('l2')
    changeCatalogue(specimen.folder, statement)
    expect([outcomeOf(specimen, {}), await outcomeOfCheck(specimen.folder)]).toEqual(['ZGQ_CORRUPT', 'ZGQ_CORRUPT'])
  })

  it('that a reader needs not may be there: a key of meta that it does not know', () => {
    const specimen = specimenWith('l2')
    changeCatalogue(
      specimen.folder,
      `INSERT INTO meta VALUES ('newer', x'c0', ${metaCrc('newer', Uint8Array.of(0xc0))})`
    )
    expect(outcomeOf(specimen, {})).toBe('right')
  })
})

/** Section 7 of the spec, "Row CRC", by hand. */
function metaCrc(key: string, value: Uint8Array): number {
  const text = Buffer.from(key)
  const length = (byteLength: number): Buffer => Buffer.from(Uint32Array.of(byteLength).buffer)
  return crc32(Buffer.concat([length(text.byteLength), text, length(value.byteLength), value]))
}

/** Sets a field of segment 1. */
const inSegment =
  (field: keyof typeof SEGMENT_RECORD.fields, value: number | bigint) =>
  ({ segments }: ForgedCatalogue): void => {
    segments.set(1, field, value)
  }

/** Gives a field of segment 1 the value that it has in segment 2. */
const ofAnother =
  (field: keyof typeof SEGMENT_RECORD.fields) =>
  ({ segments }: ForgedCatalogue): void => {
    segments.set(1, field, segments.get(2, field))
  }

const moved =
  (field: keyof typeof SEGMENT_RECORD.fields, by: number) =>
  ({ segments }: ForgedCatalogue): void => {
    segments.set(1, field, segments.get(1, field) + by)
  }

/** Sets a field of the record of the index. */
const inIndex =
  (field: keyof typeof INDEX_RECORD.fields, value: number | bigint | Uint8Array) =>
  ({ index }: ForgedCatalogue): void => {
    index.set(0, field, value)
  }

/** Sets a field of the record of the vectors file. */
const inFile =
  (field: keyof typeof FILE_RECORD.fields, value: number | bigint) =>
  ({ files }: ForgedCatalogue): void => {
    files.set(0, field, value)
  }

describe('a catalogue whose checksums fit, but not what it says', () => {
  it('gives the right answer if nothing was changed but the checksums made again', () => {
    const specimen = specimenWith('l2')
    forgeCatalogue(specimen.folder, () => undefined)
    expect(outcomeOf(specimen, {})).toBe('right')
  })

  it.each<readonly [string, (catalogue: ForgedCatalogue) => void]>([
    ['rows beyond the file', inSegment('rowsOffset', 1_048_576)],
    ['rows off their page', moved('rowsOffset', 4)],
    ['rows over the header', inSegment('rowsOffset', 0)],
    ['rows of another segment', ofAnother('rowsOffset')],
    ['rows at an offset above 2^53', inSegment('rowsOffset', 2n ** 60n)],
    ['rows of another length', moved('rowsByteLength', 4)],
    ['a segment of no rows', inSegment('rowCount', 0)],
    ['a segment of very many rows', inSegment('rowCount', 2 ** 40)],
    ['a segment of more rows than 2^53', inSegment('rowCount', 2n ** 64n - 1n)],
    ['columns beyond the file', inSegment('columnsByteLength', 1_048_576)],
    ['columns of no length', inSegment('columnsByteLength', 0)],
    ['columns cut short', inSegment('columnsByteLength', 100)],
    ['columns of another segment', ofAnother('columnsOffset')],
    ['columns with another CRC', moved('columnsCrc', 1)],
    ['columns in another file', inSegment('columnsFile', 1)],
    [
      'a segment in a file that is not listed',
      (catalogue) => {
        inSegment('rowsFile', 3)(catalogue)
        inSegment('columnsFile', 3)(catalogue)
      }
    ],
    [
      'a row moved from segment to segment',
      ({ segments }) => {
        for (const [segment, by] of [
          [1, 1],
          [2, -1]
        ]) {
          segments.set(segment, 'rowCount', segments.get(segment, 'rowCount') + by)
          segments.set(segment, 'rowsByteLength', segments.get(segment, 'rowsByteLength') + by * DIM * 4)
        }
      }
    ],
    ['a segment of a zone that is not there', inSegment('zone', 17)],
    ['a segment number twice', ofAnother('segment')],
    ['segments out of order', inSegment('segment', 4)],
    [
      'a segment that is still to come',
      ({ index, segments }) => {
        const last = index.get(0, 'segmentCount') - 1
        segments.set(last, 'segment', index.get(0, 'nextSegment'))
      }
    ],
    ['a segment with a radius below zero', inSegment('radius', -1)],
    ['a segment with a radius that is no number', inSegment('radius', NaN)],
    ['a segment whose smallest norm is above the largest', inSegment('minNorm', 1e30)],
    [
      'longer files',
      ({ files }) => {
        for (const file of [0, 1]) files.set(file, 'byteLength', files.get(file, 'byteLength') - 4096)
      }
    ],
    ['a file that is still to come', ({ files }) => files.set(1, 'file', 2)],
    ['a file number twice', ({ files }) => files.set(1, 'file', 0)],
    ['two files of one name', ({ files }) => files.set(1, 'kind', 1)],
    ['a file of a generation that is not there', inFile('generation', 0)],
    ['a shard that is not there', inFile('shard', 1)],
    ['a file of fewer segments than it has', inFile('segmentCount', 5)],
    ['a file of fewer rows than it has', inFile('rowCount', COUNT - 1)],
    ['a file of less than a page', inFile('byteLength', 100)],
    ['codes beyond the file', inSegment('codesOffset', 1_048_576)],
    ['codes off their page', moved('codesOffset', 4)],
    ['codes over the header', inSegment('codesOffset', 0)],
    ['codes of no length', inSegment('codesByteLength', 0)],
    ['codes cut short', inSegment('codesByteLength', 200)],
    ['codes of very great length', inSegment('codesByteLength', 2 ** 40)],
    ['codes of another segment', ofAnother('codesOffset')],
    ['codes with another CRC', moved('codesCrc', 1)],
    ['codes in a vectors file', inSegment('codesFile', 0)],
    ['codes in a file that is not listed', inSegment('codesFile', 2)],
    ['rows in a codes file', inSegment('rowsFile', 1)],
    ['more bits than the codes have', inIndex('bits', 4)],
    ['many more bits than the codes have', inIndex('bits', 8)],
    ['codes without bits', inIndex('bits', 0)],
    ['another count', inIndex('count', COUNT + 1)],
    ['a count above 2^53', inIndex('count', 2n ** 60n)],
    ['another count of zones', inIndex('zoneCount', 5)],
    ['a great count of zones', inIndex('zoneCount', 2 ** 26)],
    ['another count of segments', inIndex('segmentCount', 5)],
    ['a very great count of segments', inIndex('segmentCount', 2 ** 50)],
    ['another count of files', inIndex('fileCount', 4)],
    ['a next segment that is there already', inIndex('nextSegment', 5)],
    ['a next file that is there already', inIndex('nextFile', 1)],
    ['no dimensions', inIndex('dim', 0)],
    ['very many dimensions', inIndex('dim', 65_537)],
    ['a metric that is not known', inIndex('metric', 4)],
    ['ids that are strings', inIndex('idType', 2)],
    ['segments with fields', inSegment('fieldsByteLength', 4096)],
    ['segments with a payload', inSegment('payloadByteLength', 4096)],
    ['a centroid that is no number', ({ zones }) => zones.fill(0xff, 0, 4)]
  ])('gives ZGQ_CORRUPT: %s', (_, change) => {
    const specimen = specimenWith('l2')
    forgeCatalogue(specimen.folder, change)
    expect(MAPPINGS.map((mapping) => outcomeOf(specimen, { mapping }))).toEqual(['ZGQ_CORRUPT', 'ZGQ_CORRUPT'])
  })

  it.each([15, 167, 169])('gives ZGQ_CORRUPT: an index record of %d bytes', (byteLength) => {
    const specimen = specimenWith('l2')
    forgeMeta(specimen.folder, 'index', new Uint8Array(byteLength))
    expect(outcomeOf(specimen, {})).toBe('ZGQ_CORRUPT')
  })

  it.each<readonly [string, (catalogue: ForgedCatalogue) => void]>([
    ['another index id', inIndex('indexId', new Uint8Array(16))],
    ['another metric', inIndex('metric', 3)],
    ['a file of a generation above that of the index', inFile('generation', 2)],
    ['a file with another header', inFile('headerCrc', 1)],
    [
      'a file of more segments than its header says',
      ({ files }) => {
        files.set(0, 'segmentCount', files.get(0, 'segmentCount') + 1)
      }
    ],
    ['a file of more rows than its header says', inFile('rowCount', COUNT + 1)]
  ])('gives ZGQ_MISMATCH: %s', (_, change) => {
    const specimen = specimenWith('l2')
    forgeCatalogue(specimen.folder, change)
    expect(outcomeOf(specimen, {})).toBe('ZGQ_MISMATCH')
  })
})

describe('an index of another format gives ZGQ_UNSUPPORTED', () => {
  it.each<readonly [string, (catalogue: ForgedCatalogue) => void]>([
    ['version', inIndex('version', 3)],
    ['reader features', inIndex('readerFeatures', 1)],
    ['element type', inIndex('elementType', 2)],
    ['type of ids', inIndex('idType', 3)],
    ['bits', inIndex('bits', 3)],
    ['kinds of files', inFile('kind', 7)],
    ['segments with flags', inSegment('flags', 1)]
  ])('by the %s of its catalogue', (_, change) => {
    const specimen = specimenWith('l2')
    forgeCatalogue(specimen.folder, change)
    expect(outcomeOf(specimen, {})).toBe('ZGQ_UNSUPPORTED')
  })

  it('by the user_version of its catalogue', async () => {
    const specimen = specimenWith('l2')
    changeCatalogue(specimen.folder, 'PRAGMA user_version = 3')
    expect([outcomeOf(specimen, {}), await outcomeOfCheck(specimen.folder)]).toEqual([
      'ZGQ_UNSUPPORTED',
      'ZGQ_UNSUPPORTED'
    ])
  })

  it.each([0, 1])('by the user_version of its catalogue, and says what to do: %d', async (version) => {
    const specimen = specimenWith('l2')
    changeCatalogue(specimen.folder, `PRAGMA user_version = ${version}`)
    expect(errorOf(() => ZgqIndex.open(specimen.folder))).toMatchObject({
      code: 'ZGQ_UNSUPPORTED',
      message: expect.stringContaining('rebuild')
    })
    expect(await outcomeOfCheck(specimen.folder)).toBe('ZGQ_UNSUPPORTED')
  })

  it('by the user_version of its catalogue, whatever else that holds', () => {
    const specimen = specimenWith('l2')
    changeCatalogue(specimen.folder, 'PRAGMA user_version = 7', 'DROP TABLE zones', 'DROP TABLE meta')
    expect(outcomeOf(specimen, {})).toBe('ZGQ_UNSUPPORTED')
  })

  it.each([
    ['version', 0n],
    ['version', 1n],
    ['version', 3n],
    ['readerFeatures', 1n],
    ['elementType', 2n],
    ['alignment', 16_384n]
  ] as const)('by the %s of a header', (field, value) => {
    const specimen = specimenWith('l2')
    const name = dataFileOf(specimen)
    const header = forged(
      Uint8Array.from(bytesOf(specimen, name).subarray(0, PAGE_BYTES)),
      HEADER.fields[field],
      value,
      PAGE_BYTES - 4
    )
    expect(withBytes(specimen, { name, offset: 0, bytes: header }, () => outcomeOf(specimen, {}))).toBe(
      'ZGQ_UNSUPPORTED'
    )
  })

  it('is not one that only writers must know', () => {
    const specimen = specimenWith('l2')
    forgeCatalogue(specimen.folder, inIndex('writerFeatures', 5))
    expect(outcomeOf(specimen, {})).toBe('right')
  })

  it('is one for whoever changes it where only writers must know, and nothing is changed', async () => {
    const specimen = specimenWith('l2')
    forgeCatalogue(specimen.folder, inIndex('writerFeatures', 5))
    const before = bytesOf(specimen, CATALOGUE_NAME)
    await expect(calibrateIndex(specimen.folder)).rejects.toMatchObject({ code: 'ZGQ_UNSUPPORTED' })
    expect(bytesOf(specimen, CATALOGUE_NAME)).toEqual(before)
  })
})

describe('what is not an index', () => {
  const open = (path: string): string => codeOf(() => ZgqIndex.open(path))
  const made = (make: (path: string) => void): string => {
    const path = temp.fresh('other')
    make(path)
    return path
  }
  const withCatalogue =
    (fill: (path: string) => void) =>
    (path: string): void => {
      mkdirSync(path)
      fill(join(path, CATALOGUE_NAME))
    }
  const database =
    (...statements: readonly string[]) =>
    (path: string): void => {
      const sqlite = new Sqlite(path)
      for (const statement of statements) sqlite.exec(statement)
      sqlite.close()
    }

  it('gives ZGQ_NOT_FOUND: a path where nothing is', async () => {
    const path = temp.fresh('nothing')
    expect([open(path), await outcomeOfCheck(path)]).toEqual(['ZGQ_NOT_FOUND', 'ZGQ_NOT_FOUND'])
  })

  it('gives ZGQ_NOT_FOUND: a path below a file', () => {
    expect(
      open(
        join(
          made((path) => {
            writeFileSync(path, 'text')
          }),
          'below'
        )
      )
    ).toBe('ZGQ_NOT_FOUND')
  })

  it.each<readonly [string, (path: string) => void]>([
    [
      'an empty folder',
      (path) => {
        mkdirSync(path)
      }
    ],
    [
      'a plain file',
      (path) => {
        writeFileSync(path, 'text')
      }
    ],
    [
      'an empty file',
      (path) => {
        writeFileSync(path, '')
      }
    ],
    [
      'a folder with an empty catalogue',
      withCatalogue((path) => {
        writeFileSync(path, '')
      })
    ],
    [
      'a folder with a catalogue of text',
      withCatalogue((path) => {
        writeFileSync(path, 'text '.repeat(1000))
      })
    ],
    [
      'a folder with a folder for a catalogue',
      withCatalogue((path) => {
        mkdirSync(path)
      })
    ],
    ['a folder with another SQLite database', withCatalogue(database('CREATE TABLE notes (text)'))],
    [
      'the catalogue of an index, for its folder',
      (path) => {
        copyFileSync(join(specimenWith('l2').folder, CATALOGUE_NAME), path)
      }
    ]
  ])('gives ZGQ_NOT_AN_INDEX: %s', async (_, make) => {
    const path = made(make)
    expect([open(path), await outcomeOfCheck(path)]).toEqual(['ZGQ_NOT_AN_INDEX', 'ZGQ_NOT_AN_INDEX'])
  })

  it('gives ZGQ_UNSUPPORTED: an index of format version 1, which is to be built again', async () => {
    const path = made(
      withCatalogue(
        database(
          'PRAGMA application_id = 1514623281',
          'PRAGMA user_version = 1',
          'CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID',
          'CREATE TABLE files (file INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,' +
            ' byte_length INTEGER NOT NULL, header_crc INTEGER NOT NULL, crc INTEGER NOT NULL)',
          "INSERT INTO files VALUES (0, 'vectors', 'vectors-000001-00000.zgq', 8192, 1, 2)"
        )
      )
    )
    const error = errorOf(() => ZgqIndex.open(path))
    expect(error).toMatchObject({ code: 'ZGQ_UNSUPPORTED', path: join(path, CATALOGUE_NAME) })
    expect(error.message).toMatch(/format version 1, expected 2: rebuild it from its vectors/)
    expect(await outcomeOfCheck(path)).toBe('ZGQ_UNSUPPORTED')
  })

  it('gives ZGQ_CORRUPT: a database with our application_id and no tables', () => {
    expect(open(made(withCatalogue(database('PRAGMA application_id = 1514623281', 'PRAGMA user_version = 2'))))).toBe(
      'ZGQ_CORRUPT'
    )
  })
})

describe('an index is only read', () => {
  const namesAndTimes = (folder: string): unknown => [
    statSync(folder).mtimeMs,
    ...readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mtimeMs])
  ]

  it.each(MAPPINGS)('by open, search and check: no file is made or changed (%s)', async (mapping) => {
    const { folder, queries } = specimenWith('cosine')
    const before = [namesAndTimes(folder), fileDigests(folder)]
    const index = ZgqIndex.open(folder, { mapping })
    index.search(queries[0])
    const during = namesAndTimes(folder)
    index.close()
    await checkIndex(folder)
    expect([namesAndTimes(folder), fileDigests(folder)]).toEqual(before)
    expect(during).toEqual(before[0])
  })

  it('and answers the same if its catalogue says that it is in WAL mode', () => {
    const specimen = specimenWith('l2')
    const folder = temp.fresh('wal')
    cpSync(specimen.folder, folder, { recursive: true })
    const catalogue = readFileSync(join(folder, CATALOGUE_NAME))
    catalogue.fill(2, 18, 20)
    writeFileSync(join(folder, CATALOGUE_NAME), catalogue)
    expect(outcomeOf({ ...specimen, folder }, {})).toBe('right')
  })

  it('by another user, in a folder that nobody may write', () => {
    const { folder, queries, answers } = specimenWith('l2')
    const copy = temp.fresh('read-only')
    cpSync(folder, copy, { recursive: true })
    for (const name of readdirSync(copy)) chmodSync(join(copy, name), 0o444)
    chmodSync(copy, 0o555)
    chmodSync(temp.path, 0o755)
    // The other user may not reach the repository: code and native modules are loaded before the change.
    const script = `
      import { ZgqIndex } from ${JSON.stringify(join(ROOT, 'dist/index.js'))}
      import { checkIndex } from ${JSON.stringify(join(ROOT, 'dist/check.js'))}
      import { accessSync, constants } from 'node:fs'
      const queries = ${JSON.stringify(queries.map((query) => Array.from(query)))}
      ZgqIndex.open(${JSON.stringify(folder)}).close()
      if (process.getuid() === 0) {
        process.setgid(65534)
        process.setuid(65534)
      }
      const isWritable = (() => { try { accessSync(${JSON.stringify(copy)}, constants.W_OK); return true } catch { return false } })()
      const answers = ${JSON.stringify(MAPPINGS)}.map((mapping) => {
        const index = ZgqIndex.open(${JSON.stringify(copy)}, { mapping })
        const hits = queries.map((query) => ${JSON.stringify(SEARCHES)}.map((search) => index.search(query, search)))
        index.close()
        return hits
      })
      const { ok } = await checkIndex(${JSON.stringify(copy)})
      console.log(JSON.stringify({ isWritable, answers, ok }))`
    try {
      const printed: unknown = JSON.parse(
        execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
      )
      expect(printed).toEqual({ isWritable: false, answers: [JSON.parse(answers), JSON.parse(answers)], ok: true })
      expect(readdirSync(copy)).toEqual(readdirSync(folder))
    } finally {
      chmodSync(copy, 0o755)
      rmSync(copy, { recursive: true })
    }
  })

  it.each(MAPPINGS)('and let go of when it was damaged: no file stays open or mapped (%s)', (mapping) => {
    if (process.platform !== 'linux') return
    const specimen = specimenWith('l2')
    const name = dataFileOf(specimen)
    const held = (): string[] => [
      ...readFileSync('/proc/self/maps', 'utf8')
        .split('\n')
        .filter((line) => line.includes(specimen.folder)),
      ...Array(readdirSync('/proc/self/fd').length).fill('descriptor')
    ]
    outcomeOf(specimen, { mapping })
    const before = held()
    for (const offset of [0, PAGE_BYTES, 8 * PAGE_BYTES])
      withBytes(specimen, { name, offset, bytes: Uint8Array.of(1, 2, 3) }, () =>
        outcomeOf(specimen, { mapping, verify: 'open' })
      )
    expect(held()).toEqual(before)
  })
})
