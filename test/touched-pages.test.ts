// Evidence that a search reads the pages of the zones that it selects, and no others: the files are dropped from
// memory, a search runs, and the system is asked which pages are there.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { fileNameOf } from '../src/format/file-record.ts'
import { PAGE_BYTES } from '../src/format/layout.ts'
import type { Segment } from '../src/format/segment-table.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import type { Snapshot } from '../src/catalogue/snapshot.ts'
import type { Explain, OpenOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { makeVectors } from './support/datasets.ts'
import { MAPPINGS } from './support/mappings.ts'
import { evict, residentPages } from './support/page-cache.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const SEED = 41
const DIM = 64
const COUNT = 20_000
const NPROBE = 3
// Where there is mapping, there is a call that turns readahead off: only then no page beside is read. An index opened
// with 'auto' comes to it after some searches.
const [mapping] = MAPPINGS

// The system's temporary folder may be in memory; the repository is on a disk.
const onDisk = join(ROOT, 'build')
mkdirSync(onDisk, { recursive: true })
const temp = useTempFolder('touched-pages', onDisk)

const queries = [0, 1, 2, 3, 4].map((i) => makeVectors('clustered', { count: 1, dim: DIM }, SEED + i))

interface Built {
  readonly path: string
  readonly snapshot: Snapshot
  readonly dataFile: string
  /** Undefined without codes. */
  readonly codesFile: string | undefined
}

async function build(metric: 'l2' | 'cosine', bits: number): Promise<Built> {
  const path = temp.fresh(metric)
  await buildIndex({
    input: makeVectors('clustered', { count: COUNT, dim: DIM }, SEED),
    dim: DIM,
    metric,
    bits,
    zones: 100,
    output: path
  })
  const snapshot = readCatalogue(path)
  const [dataFile, codesFile] = snapshot.files.map((file) => join(path, fileNameOf(file)))
  return { path, snapshot, dataFile, codesFile }
}

const built = new Map<string, Built>()
beforeAll(async () => {
  for (const metric of ['l2', 'cosine'] as const)
    for (const bits of [0, 4]) built.set(`${metric} ${bits}`, await build(metric, bits))
})

function indexWith(metric: string, bits = 0): Built {
  const index = built.get(`${metric} ${bits}`)
  if (index === undefined) throw new Error(`nothing was built for ${metric}`)
  return index
}

/** Pages of the segment and the columns of zones. */
function pagesOf(zones: readonly Segment[]): number[] {
  const extents = zones.flatMap((zone) => [
    { offset: zone.rows.offset, byteLength: zone.rowCount * DIM * 4 },
    zone.columns
  ])
  return extents
    .flatMap(({ offset, byteLength }) =>
      Array.from({ length: Math.ceil(byteLength / PAGE_BYTES) }, (_, i) => offset / PAGE_BYTES + i)
    )
    .sort((a, b) => a - b)
}

/** Searches an index just opened; returns what explain says. */
function explainIn(path: string, options: OpenOptions, searches: readonly Float32Array[], rerank = 0): Explain[] {
  const index = ZgqIndex.open(path, options)
  try {
    return searches.map((query) => index.search(query, { nprobe: NPROBE, rerank, explain: true }).explain)
  } finally {
    index.close()
  }
}

describe.runIf(process.platform === 'linux').each([
  ['l2', 'touch'],
  ['cosine', 'touch'],
  ['l2', 'none']
] as const)(`a search of files that are not in memory (%s, verify: %s, seed ${SEED})`, (metric, verify) => {
  const HEADER_PAGE = 0

  it('reads the header page and nothing else when the index is opened', () => {
    const { path, dataFile } = indexWith(metric)
    evict(dataFile)
    explainIn(path, { verify, mapping }, [])
    expect(residentPages(dataFile)).toEqual([HEADER_PAGE])
  })

  it('reads the pages of the zones that it selects, and no others', () => {
    const { path, snapshot, dataFile } = indexWith(metric)
    evict(dataFile)
    const [{ zones }] = explainIn(path, { verify, mapping }, [queries[0]])
    expect(zones).toHaveLength(NPROBE)
    expect(residentPages(dataFile)).toEqual([HEADER_PAGE, ...pagesOf(zones.map((zone) => snapshot.segments.at(zone)))])
  })

  it('of several queries reads the pages of the zones that these select, and no others', () => {
    const { path, snapshot, dataFile } = indexWith(metric)
    evict(dataFile)
    const zones = new Set(
      explainIn(path, { verify, mapping, cacheBytes: 0 }, queries).flatMap((explain) => explain.zones)
    )
    expect(residentPages(dataFile)).toEqual([
      HEADER_PAGE,
      ...pagesOf(Array.from(zones, (zone) => snapshot.segments.at(zone)))
    ])
  })

  it('reads a small part of the file', () => {
    const { path, dataFile, snapshot } = indexWith(metric)
    evict(dataFile)
    explainIn(path, { verify, mapping }, [queries[0]])
    expect(residentPages(dataFile).length * PAGE_BYTES).toBeLessThan(snapshot.files[0].byteLength / 10)
  })
})

describe.runIf(process.platform === 'linux').each([
  ['l2', 'touch'],
  ['cosine', 'touch'],
  ['l2', 'none']
] as const)(`a search of codes that are not in memory (%s, verify: %s, seed ${SEED})`, (metric, verify) => {
  const evicted = (): Built & { codesFile: string } => {
    const index = indexWith(metric, 4)
    if (index.codesFile === undefined) throw new Error('the index has no codes')
    evict(index.dataFile)
    evict(index.codesFile)
    return { ...index, codesFile: index.codesFile }
  }
  const codesPages = (zones: readonly Segment[]): number[] =>
    zones
      .flatMap(({ codes: { offset, byteLength } }) =>
        Array.from({ length: Math.ceil(byteLength / PAGE_BYTES) }, (_, i) => offset / PAGE_BYTES + i)
      )
      .sort((a, b) => a - b)

  it('reads the header pages and nothing else when the index is opened', () => {
    const { path, dataFile, codesFile } = evicted()
    explainIn(path, { verify, mapping }, [])
    expect([residentPages(dataFile), residentPages(codesFile)]).toEqual([[0], [0]])
  })

  it('reads the codes of the zones that it selects, and of their rows only the pages of those that it reranks', () => {
    const { path, snapshot, dataFile, codesFile } = evicted()
    const [explain] = explainIn(path, { verify, mapping }, [queries[0]], 1)
    const zones = explain.zones.map((zone) => snapshot.segments.at(zone))
    expect(residentPages(codesFile)).toEqual([0, ...codesPages(zones)])
    const rows = residentPages(dataFile).slice(1)
    const segments = new Set(
      zones.flatMap((zone) =>
        Array.from(
          { length: Math.ceil((zone.rowCount * DIM * 4) / PAGE_BYTES) },
          (_, i) => zone.rows.offset / PAGE_BYTES + i
        )
      )
    )
    expect(rows.filter((page) => !segments.has(page))).toEqual([])
    expect(rows.length).toBeGreaterThan(0)
    expect(rows.length).toBeLessThanOrEqual(explain.rowsReranked * 2)
  })

  it('reads fewer bytes than a search of rows', () => {
    const [[coded], [plain]] = [4, 0].map((bits) =>
      explainIn(indexWith(metric, bits).path, { verify, mapping }, [queries[0]], 1)
    )
    expect(coded.bytes).toBeLessThan(plain.bytes / 2)
  })
})

describe.runIf(process.platform === 'linux')('the first search of an index opened with mapping: auto', () => {
  it('reads the pages of the zones that it selects, beside what the system reads ahead', () => {
    const { path, snapshot, dataFile } = indexWith('l2')
    evict(dataFile)
    const [{ zones }] = explainIn(path, {}, [queries[0]])
    const wanted = pagesOf(zones.map((zone) => snapshot.segments.at(zone)))
    const resident = new Set(residentPages(dataFile))
    expect(wanted.filter((page) => !resident.has(page))).toEqual([])
    // Near zones have near numbers: the system takes reads that follow each other for a sequence, and how far it then
    // reads ahead is the device's setting.
  })

  it('reads nothing beside them once info chose mapping', () => {
    const { path, snapshot, dataFile } = indexWith('l2')
    evict(dataFile)
    using index = ZgqIndex.open(path)
    index.info()
    evict(dataFile)
    const { zones } = index.search(queries[0], { nprobe: NPROBE, explain: true }).explain
    expect(residentPages(dataFile)).toEqual(pagesOf(zones.map((zone) => snapshot.segments.at(zone))))
  })
})

describe('what explain says that a search read', () => {
  it.each([
    ['mmap', 'l2'],
    ['mmap', 'cosine'],
    ['pread', 'l2'],
    ['pread', 'cosine']
  ] as const)('is the extents of its zones, within a page for each (%s, %s)', (mapping, metric) => {
    const { path, snapshot } = indexWith(metric)
    const [explain] = explainIn(path, { mapping }, [queries[0]])
    const zones = explain.zones.map((zone) => snapshot.segments.at(zone))
    const bytes = zones.reduce((sum, zone) => sum + zone.rowCount * DIM * 4 + zone.columns.byteLength, 0)
    const pieces = zones.length * 2
    expect(Math.abs(explain.bytesRead - bytes)).toBeLessThanOrEqual(pieces * PAGE_BYTES)
  })

  it('counts as many pages as the extents of its zones have', () => {
    const { path, snapshot } = indexWith('l2')
    const [explain] = explainIn(path, {}, [queries[0]])
    expect(explain.pages).toBe(pagesOf(explain.zones.map((zone) => snapshot.segments.at(zone))).length)
  })
})
