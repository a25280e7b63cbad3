// Repairs of indexes with damaged data files: what is left comes out as it was, and what is lost is said, row by row.

import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { readCatalogue } from '../src/catalogue/reader.ts'
import { checkIndex, repairIndex, type RepairReport } from '../src/check.ts'
import { decodeColumns } from '../src/format/columns.ts'
import { fileNameOf } from '../src/format/file-record.ts'
import { CATALOGUE_NAME, PAGE_BYTES } from '../src/format/layout.ts'
import type { ExtentKind } from '../src/format/kinds.ts'
import type { SegmentRecord } from '../src/format/segment-record.ts'
import type { Id } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { codeOf } from './support/errors.ts'
import { flipByte } from './support/flip-byte.ts'
import { contentOf, copyOf, makeChangedDocuments, readAt, salvageFrom, type Content } from './support/repairs.ts'
import { randomFrom } from './support/random.ts'
import { errorFrom } from './support/small-build.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { IS_TORTURE } from './support/torture.ts'

const temp = useTempFolder('repair-damage', IN_MEMORY)
const SEED = 11
const ROUNDS = IS_TORTURE ? 2000 : 30

interface Specimen {
  readonly folder: string
  readonly content: Content
  /** Of the segment with most rows of the built index, and the first of the delta. */
  readonly built: SegmentRecord
  readonly delta: SegmentRecord
  readonly nameOf: (file: number) => string
}

async function specimen(ids: 'string' | 'integer', bits: number): Promise<Specimen> {
  const folder = temp.fresh(`specimen-${ids}`)
  // Two rows a page, so that a page with damage does not take the segment.
  await makeChangedDocuments({ output: folder, count: 300, dim: 384, metric: 'cosine', bits, ids, seed: SEED })
  const { segments, files, meta } = readCatalogue(folder)
  const all = Array.from(segments)
  const built = all.filter(({ zone }) => zone < meta.zoneCount).sort((a, b) => b.rowCount - a.rowCount)[0]
  const delta = all.filter(({ zone }) => zone >= meta.zoneCount)[0]
  const names = new Map(files.map((file) => [file.file, fileNameOf(file)]))
  return { folder, content: contentOf(folder), built, delta, nameOf: (file) => names.get(file) ?? '' }
}

const specimens = new Map<string, Specimen>()
beforeAll(async () => {
  specimens.set('integer', await specimen('integer', 4))
  specimens.set('string', await specimen('string', 1))
  specimens.set('no codes', await specimen('integer', 0))
}, 60_000)

function of(name: string): Specimen {
  const found = specimens.get(name)
  if (found === undefined) throw new Error(`there is no specimen ${name}`)
  return found
}

/** What came of a repair. */
interface Outcome {
  readonly report: Pick<RepairReport, 'lost' | 'damage'>
  /** Live rows that are gone, and those without their payload, ascending. */
  readonly gone: readonly Id[]
  readonly bare: readonly Id[]
}

/** Reads what is left of a damaged copy: it has nothing that the index did not have. */
async function repair(folder: string, content: Content): Promise<Outcome> {
  const { rows, ...report } = await salvageFrom(folder)
  return { report, ...compare(rows, content, report) }
}

/** The same, and builds another index of it, which is sound. */
async function repairWhole(folder: string, content: Content): Promise<Outcome> {
  const place = temp.fresh('place')
  mkdirSync(place)
  const report = await repairIndex({ input: folder, output: join(place, 'out') })
  expect(readdirSync(place)).toEqual(['out'])
  expect((await checkIndex(report.path)).count).toBe(report.rows)
  const { rows: _, ...salvaged } = await salvageFrom(folder)
  expect(report).toMatchObject(salvaged)
  return { report, ...compare(contentOf(report.path), content, report) }
}

function compare(
  after: ReadonlyMap<Id, { readonly vector: string; readonly payload: string }>,
  content: Content,
  { lost }: Pick<RepairReport, 'lost'>
): Pick<Outcome, 'gone' | 'bare'> {
  const bare: Id[] = []
  for (const [id, row] of after) {
    const before = content.get(id)
    expect(row.vector, `the vector of ${id}`).toBe(before?.vector)
    if (row.payload === before?.payload) continue
    expect(row.payload, `the payload of ${id}`).toBe('')
    bare.push(id)
  }
  const gone = Array.from(content.keys()).filter((id) => !after.has(id))
  expect(lost).toMatchObject({ rows: gone.length, freshRows: 0, deletions: 0, patches: 0 })
  expect(lost.payloads).toBeGreaterThanOrEqual(bare.length)
  return { gone, bare }
}

/** Live ids of a segment, of some rows alone. */
function idsIn(content: Content, segment: SegmentRecord, isChosen: (row: number) => boolean = () => true): Id[] {
  return Array.from(content)
    .filter(([, { place }]) => place?.segment.segment === segment.segment && isChosen(place.row))
    .map(([id]) => id)
}

/** Damages a copy of a specimen. */
function damaged(
  name: string,
  damage: (folder: string, specimen: Specimen) => void
): { folder: string; content: Content } {
  const found = of(name)
  const folder = copyOf(found.folder, temp.fresh('damaged'))
  damage(folder, found)
  return { folder, content: found.content }
}

function flipIn(name: string, which: 'built' | 'delta', at: { kind: ExtentKind; offset: number }) {
  return damaged(name, (folder, found) => {
    const extent = found[which][at.kind]
    flipByte(join(folder, found.nameOf(extent.file)), extent.offset + at.offset)
  })
}

/** Where the columns beside rows, or codes, are in their extent. */
function columnsOf(name: string, which: 'built' | 'delta', kind: 'columns' | 'codes') {
  const { folder, nameOf, [which]: segment } = of(name)
  const { meta } = readCatalogue(folder)
  const extent = segment[kind]
  const bytes = readAt(join(folder, nameOf(extent.file)), extent.offset, extent.byteLength)
  const { segment: number, rowCount } = segment
  return decodeColumns(bytes, {
    ...{ path: '', offset: 0, segment: number, rowCount, headerCrc: extent.crc },
    ...{
      dim: meta.dim,
      idType: meta.idType,
      hasInverseNorms: kind === 'columns',
      bits: kind === 'codes' ? meta.bits : 0
    }
  })
}

describe.each(['integer', 'string', 'no codes'])('of an index (%s)', (name) => {
  describe.each(['built', 'delta'] as const)('a segment that is %s', (which) => {
    it('loses only the rows on a damaged page', async () => {
      const { dim } = readCatalogue(of(name).folder).meta
      const { folder, content } = flipIn(name, which, { kind: 'rows', offset: 2 * PAGE_BYTES + 5 })
      const { report, gone, bare } = await repairWhole(folder, content)
      const segment = of(name)[which]
      const isOnPage = (row: number): boolean => row * dim * 4 < 3 * PAGE_BYTES && (row + 1) * dim * 4 > 2 * PAGE_BYTES
      const lost = idsIn(content, segment, isOnPage)
      expect(lost.length).toBeGreaterThan(0)
      expect([new Set(gone), bare]).toEqual([new Set(lost), []])
      const file = of(name).nameOf(segment.rows.file)
      expect(report.lost.segments).toEqual([{ segment: segment.segment, file, rows: lost.length }])
      expect(new Set(report.lost.ids)).toEqual(new Set(lost))
      expect(report.damage).toEqual([
        { file, offset: segment.rows.offset + 2 * PAGE_BYTES, what: expect.stringContaining('page 2 is damaged') }
      ])
    })

    it.each(['ids', 'page CRCs', 'the table'])(
      'with damage in %s beside the rows loses them, or has it elsewhere',
      async (what) => {
        const { ids, stringIds, pageCrcs } = columnsOf(name, which, 'columns')
        const offset =
          what === 'the table' ? 9 : what === 'ids' ? ((ids ?? stringIds)?.offset ?? 0) + 9 : pageCrcs.offset
        const { folder, content } = flipIn(name, which, { kind: 'columns', offset })
        const { report, gone, bare } = await repair(folder, content)
        const segment = of(name)[which]
        const hasElsewhere = name === 'integer' || (name === 'string' && what === 'page CRCs')
        expect([new Set(gone), bare]).toEqual([new Set(hasElsewhere ? [] : idsIn(content, segment)), []])
        expect(report.damage.length).toBe(1)
        expect(report.lost.ids.length).toBe(!hasElsewhere && what === 'page CRCs' ? gone.length : 0)
      }
    )

    it('with damaged norms loses nothing: they are derived', async () => {
      const offset = columnsOf(name, which, 'columns').inverseNorms?.offset ?? 0
      const { folder, content } = flipIn(name, which, { kind: 'columns', offset })
      const { report, gone, bare } = await repair(folder, content)
      expect([gone, bare, report.damage.length]).toEqual([[], [], 1])
    })

    it.each(['codes', 'fields'] as const)('with damaged %s loses nothing: they are derived', async (kind) => {
      for (const offset of [3, of(name)[which][kind].byteLength - 1]) {
        if (offset < 0) continue
        const { folder, content } = flipIn(name, which, { kind, offset })
        const { report, gone, bare } = await repair(folder, content)
        expect([gone, bare, report.damage.length]).toEqual([[], [], 1])
      }
    })

    it('loses the one payload that is damaged, or all whose places are', async () => {
      const segment = of(name)[which]
      const last = flipIn(name, which, { kind: 'payload', offset: segment.payload.byteLength - 1 })
      const one = await repair(last.folder, last.content)
      expect([one.gone, one.bare.length, one.report.lost.payloads]).toEqual([[], 1, 1])
      const table = flipIn(name, which, { kind: 'payload', offset: 4 })
      const all = await repair(table.folder, table.content)
      // Not those of rows that were updated since.
      const unpatched = idsIn(table.content, segment).filter((id) => table.content.get(id)?.isPatched === false)
      expect([all.gone, all.report.lost.payloads]).toEqual([[], unpatched.length])
      const had = unpatched.filter((id) => table.content.get(id)?.payload !== '')
      expect(new Set(all.bare)).toEqual(new Set(had))
    })
  })

  it.each(['ids', 'codes', 'fields'])('without its %s file loses nothing', async (kind) => {
    if (kind === 'codes' && name === 'no codes') return
    const missing = `${kind}-000001-00000.zgq`
    const { folder, content } = damaged(name, (path) => {
      rmSync(join(path, missing))
    })
    expect(codeOf(() => ZgqIndex.open(folder))).toBe('ZGQ_CORRUPT')
    const { report, gone, bare } = await repair(folder, content)
    expect([gone, bare]).toEqual([[], []])
    expect(report.damage).toEqual([{ file: missing, offset: null, what: 'a file of the index is missing' }])
  })

  it('without its payload file has rows without payloads, but for those updated since', async () => {
    const { folder, content } = damaged(name, (path) => {
      rmSync(join(path, 'payload-000001-00000.zgq'))
    })
    const { report, gone, bare } = await repairWhole(folder, content)
    const inFile = Array.from(content).filter(
      ([, { place, isPatched }]) => place?.segment.payload.file === of(name).built.payload.file && !isPatched
    )
    expect([gone, report.lost.payloads]).toEqual([[], inFile.length])
    expect(new Set(bare)).toEqual(new Set(inFile.flatMap(([id, { payload }]) => (payload === '' ? [] : [id]))))
  })

  it.each(['built', 'delta'] as const)(
    'without the vectors of what is %s has all else, and says which rows are lost',
    async (which) => {
      const { folder, content } = damaged(name, (path, { nameOf, [which]: segment }) => {
        rmSync(join(path, nameOf(segment.rows.file)))
      })
      const { report, gone } = await repair(folder, content)
      const file = of(name)[which].rows.file
      const lost = Array.from(content).flatMap(([id, { place }]) => (place?.segment.rows.file === file ? [id] : []))
      expect(new Set(gone)).toEqual(new Set(lost))
      // Integers are repeated beside the codes, which a delta has in the same file.
      expect(report.lost.ids.length).toBe(name === 'integer' && which === 'built' ? lost.length : 0)
      expect(report.lost.segments.every((segment) => segment.file === of(name).nameOf(file))).toBe(true)
    }
  )

  it('whatever bit is turned over, is repaired, and loses what is said', { timeout: 3_600_000 }, async () => {
    const random = randomFrom(SEED)
    const names = readdirSync(of(name).folder).filter((file) => file !== CATALOGUE_NAME)
    for (let round = 0; round < ROUNDS; round++) {
      const file = names[round % names.length]
      const { folder, content } = damaged(name, (path) => {
        flipByte(join(path, file), Math.floor(random() * statSync(join(path, file)).size))
      })
      const { report, gone } = await repair(folder, content)
      expect(gone.length).toBeLessThan(content.size / 2)
      expect(report.damage.length).toBeLessThan(4)
      rmSync(folder, { recursive: true })
    }
  })

  it.each(['vectors', 'codes', 'fields', 'payload', 'ids', 'delta'])(
    'with its %s file cut in half is repaired',
    async (kind) => {
      if (kind === 'codes' && name === 'no codes') return
      const { folder, content } = damaged(name, (path) => {
        const [file] = readdirSync(path).filter((one) => one.startsWith(kind))
        truncateSync(join(path, file), statSync(join(path, file)).size / 2)
      })
      expect(codeOf(() => ZgqIndex.open(folder))).toBe('ZGQ_TRUNCATED')
      const { report, gone } = await repair(folder, content)
      expect(report.damage.length).toBeGreaterThan(0)
      if (!['vectors', 'delta'].includes(kind)) expect(gone).toEqual([])
      // With ids and page CRCs beside the codes, rows before the cut are found without the columns behind it.
      if (kind === 'vectors' && name === 'integer') expect(gone.length).toBeLessThan(200)
    }
  )

  it.each(['a link', 'a folder', 'nothing in it'])(
    'where %s is in the place of its ids file is repaired',
    async (what) => {
      const { folder, content } = damaged(name, (path) => {
        const file = join(path, 'ids-000001-00000.zgq')
        rmSync(file)
        if (what === 'a link') symlinkSync(join(dirname(path), 'elsewhere'), file)
        else if (what === 'a folder') mkdirSync(file)
        else writeFileSync(file, '')
      })
      const { report, gone } = await repair(folder, content)
      expect([gone, report.damage.length]).toEqual([[], 1])
    }
  )
})

it('an index of which no row is left is not repaired', async () => {
  const { folder } = damaged('string', (path) => {
    for (const file of readdirSync(path)) if (/^(vectors|delta)/.test(file)) rmSync(join(path, file))
  })
  const index = await repairIndex({ input: folder, output: temp.fresh('fresh-only') })
  expect(index.rows).toBe(20) // fresh rows are in the catalogue
  rmSync(join(folder, CATALOGUE_NAME))
  const output = temp.fresh('none')
  expect((await errorFrom(repairIndex({ input: folder, output, acceptLoss: true }))).code).toBe('ZGQ_CORRUPT')
})
