// Repairs of indexes that are sound, or whose catalogue is gone: what comes out, and what is said of it. Damage to data
// files is in repair-damage.test.ts.

import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { checkIndex, repairIndex, type RepairOptions, type RepairReport } from '../src/check.ts'
import { FOOTER } from '../src/format/directory.ts'
import { CATALOGUE_NAME, checksum } from '../src/format/layout.ts'
import type { Id } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { addDelta, rowsOf } from './support/delta-index.ts'
import { DOCUMENT_FIELDS } from './support/document-index.ts'
import { flipByte } from './support/flip-byte.ts'
import { contentOf, filesIn, makeChangedDocuments, rowsIn } from './support/repairs.ts'
import { DIM, errorFrom, rejection, SMALL } from './support/small-build.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('repair', IN_MEMORY)
const NOTHING_LOST = { rows: 0, ids: [], segments: [], payloads: 0, freshRows: 0, deletions: 0, patches: 0 }
const SHAPES = [
  { metric: 'l2', bits: 4, ids: 'string', dim: 8 },
  { metric: 'cosine', bits: 1, ids: 'integer', dim: 24 },
  { metric: 'ip', bits: 0, ids: 'string', dim: 5 }
] as const

async function changedIndex(shape: (typeof SHAPES)[number] = SHAPES[0]): Promise<string> {
  const output = temp.fresh('changed')
  await makeChangedDocuments({ ...shape, output, count: 300, seed: 7 })
  return output
}

/** Writes a footer that says of segments that the file replaces them. */
function supersede(path: string, segments: readonly number[]): void {
  const bytes = readFileSync(path)
  const at = bytes.byteLength - FOOTER.byteLength
  const footer = FOOTER.decode(bytes, at, path)
  const end = footer.directoryOffset + footer.directoryByteLength
  segments.forEach((segment, i) => bytes.writeBigUInt64LE(BigInt(segment), end + i * 8))
  const directoryByteLength = footer.directoryByteLength + segments.length * 8
  const directoryCrc = checksum(bytes.subarray(footer.directoryOffset, footer.directoryOffset + directoryByteLength))
  const record = { ...footer, directoryByteLength, directoryCrc, supersededCount: segments.length }
  FOOTER.encode(record, bytes, at)
  FOOTER.encode({ ...record, crc: checksum(bytes.subarray(at, at + FOOTER.fields.crc.offset)) }, bytes, at)
  writeFileSync(path, bytes)
}

/** A folder with nothing but the index to come, so that leftovers show. */
function freshOutput(): string {
  const folder = temp.fresh('place')
  mkdirSync(folder)
  return join(folder, 'out')
}

async function repaired(input: string, options: Partial<RepairOptions> = {}): Promise<RepairReport> {
  const report = await repairIndex({ input, output: freshOutput(), ...options })
  const { count } = await checkIndex(report.path)
  expect(count).toBe(report.rows)
  expect(readdirSync(dirname(report.path))).toEqual(['out'])
  return report
}

describe('a sound index', () => {
  it.each(SHAPES)('comes out with the same rows, whatever was changed: %j', async (shape) => {
    const input = await changedIndex(shape)
    const before = { files: filesIn(input), content: contentOf(input) }
    const { path, rows, lost, damage, notes } = await repaired(input)
    expect({ rows, lost, damage }).toEqual({ rows: before.content.size, lost: NOTHING_LOST, damage: [] })
    expect(notes).toEqual([expect.stringContaining('calibrated')])
    expect(rowsIn(contentOf(path))).toEqual(rowsIn(before.content))
    expect(filesIn(input)).toEqual(before.files)
    const [{ meta, fields, model }, old] = [readCatalogue(path), readCatalogue(input)]
    const { metric, dim, bits, idType } = old.meta
    expect({ ...meta, fields, model }).toMatchObject({
      metric,
      dim,
      bits,
      idType,
      fields: old.fields,
      model: old.model
    })
    const index = ZgqIndex.open<Id>(path)
    expect(index.info().note).toEqual({ of: ['the app', 1] })
    expect(index.count({ kind: 'updated' })).toBe(4)
    index.close()
  })

  it('keeps the bytes of payloads that this version would write otherwise', async () => {
    const input = temp.fresh('foreign')
    await buildIndex({ input: SMALL, dim: DIM, zones: 4, output: input })
    // {"a": 1} as another writer may say it: a float64 where an integer is shorter.
    const payload = Uint8Array.from([0x81, 0xa1, 0x61, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0])
    const rows = rowsOf({ ids: [900, 901], vectors: SMALL.slice(0, 2 * DIM) })
    addDelta(input, { ...rows, payloads: [payload, undefined] })
    const { path } = await repaired(input)
    expect(contentOf(path).get(900)?.payload).toBe(Buffer.from(payload).toString('hex'))
    expect(contentOf(path).get(901)?.payload).toBe('')
  })

  it('that is empty comes out empty', async () => {
    const input = temp.fresh('empty')
    const made = await ZgqIndex.create(input, { dim: 3, ids: 'string', fields: { a: 'number' }, note: { b: 1 } })
    made.close()
    const { path, rows, damage } = await repaired(input)
    expect({ rows, damage }).toEqual({ rows: 0, damage: [] })
    const { meta, fields } = readCatalogue(path)
    expect([meta.dim, meta.idType, fields]).toEqual([3, 'string', [{ number: 1, name: 'a', type: 'number' }]])
  })

  it('but for two rows of one id comes out with one of them', async () => {
    const input = temp.fresh('twins')
    await buildIndex({ input: SMALL, dim: DIM, zones: 4, output: input })
    addDelta(input, rowsOf({ ids: [7, 900], vectors: SMALL.slice(0, 2 * DIM) }))
    expect((await errorFrom(checkIndex(input))).code).toBe('ZGQ_CORRUPT')
    const { rows, lost, damage } = await repaired(input)
    expect([rows, lost.rows, lost.ids]).toEqual([SMALL.length / DIM + 1, 1, [7]])
    expect(damage).toEqual([{ file: 'delta-000002-00000.zgq', offset: null, what: 'duplicate id 7: two rows have it' }])
  })

  it('tells the stages, rows read out of all rows first', async () => {
    const input = await changedIndex()
    const seen: [string, number, number][] = []
    const { rows } = await repaired(input, {
      onProgress: ({ stage, done, total }) => {
        seen.push([stage, done, total])
      }
    })
    expect(new Set(seen.map(([stage]) => stage)).size).toBeGreaterThan(4)
    const read = seen.filter(([stage]) => stage === 'read')
    expect(read.at(-1)?.[1]).toBe(rows)
    expect(read.every(([, done, total]) => done <= total)).toBe(true)
  })
})

describe('a repair that cannot be', () => {
  it('onto something that is there rejects with ZGQ_EXISTS, before it reads', async () => {
    const output = temp.fresh('taken')
    writeFileSync(output, 'mine')
    expect((await errorFrom(repairIndex({ input: temp.fresh('none'), output }))).code).toBe('ZGQ_EXISTS')
  })

  it.each([
    ['nothing', (_: string) => undefined, 'ZGQ_NOT_FOUND'],
    ['an empty folder', (path: string) => mkdirSync(path), 'ZGQ_NOT_AN_INDEX'],
    [
      'a file',
      (path: string) => {
        writeFileSync(path, 'text')
      },
      'ZGQ_NOT_AN_INDEX'
    ],
    [
      'a folder with files of another kind',
      (path: string) => {
        mkdirSync(path)
        for (const name of ['vectors-000001-00000.zgq', 'readme.txt'])
          writeFileSync(join(path, name), 'text'.repeat(5000))
      },
      'ZGQ_NOT_AN_INDEX'
    ]
  ])('of %s rejects and leaves nothing', async (_, make, code) => {
    const input = temp.fresh('no-index')
    make(input)
    const output = freshOutput()
    expect((await errorFrom(repairIndex({ input, output, acceptLoss: true }))).code).toBe(code)
    expect(readdirSync(dirname(output))).toEqual([])
  })

  it.each([
    [{}, TypeError],
    [{ input: 'a' }, TypeError],
    [{ input: 'a', output: 'b', acceptLoss: 1 }, TypeError],
    [{ input: 'a', output: 'b', accept: true }, TypeError],
    [{ input: 'a', output: 'b', fields: { a: 'text' } }, TypeError],
    [{ input: 'a', output: 'b', signal: {} }, TypeError]
  ])('for options %j rejects', async (options, error) => {
    // @ts-expect-error wrong on purpose
    expect(await rejection(repairIndex(options))).toBeInstanceOf(error)
  })

  it.each(['read', 'write', 'publish'])(
    'when aborted in stage %s rejects with the reason and leaves nothing',
    async (at) => {
      const input = await changedIndex()
      const output = freshOutput()
      const controller = new AbortController()
      const reason = new Error('enough')
      const onProgress = ({ stage }: { stage: string }): void => {
        if (stage === at) controller.abort(reason)
      }
      const found = rejection(repairIndex({ input, output, onProgress, signal: controller.signal }))
      if (at === 'publish') {
        // The last stage may be over by then: all or nothing.
        await found.then(
          (error) => {
            expect(error).toBe(reason)
          },
          () => undefined
        )
        expect([[], ['out']]).toContainEqual(readdirSync(dirname(output)))
        return
      }
      expect(await found).toBe(reason)
      expect(readdirSync(dirname(output))).toEqual([])
    }
  )
})

describe('an index without its catalogue', () => {
  it.each(SHAPES)(
    'is not repaired before the loss is accepted; then all rows of its files are back: %j',
    async (shape) => {
      const input = await changedIndex(shape)
      const before = contentOf(input)
      const { segments } = readCatalogue(input)
      rmSync(join(input, CATALOGUE_NAME))
      const output = freshOutput()
      const error = await errorFrom(repairIndex({ input, output }))
      expect(error.code).toBe('ZGQ_CORRUPT')
      expect(error.message).toContain(`${segments.totals.rows.toLocaleString('en-US')} rows`)
      expect(error.message).toContain('acceptLoss')
      expect(existsSync(output)).toBe(false)
      const { path, rows, lost, damage, notes } = await repaired(input, { acceptLoss: true, fields: DOCUMENT_FIELDS })
      expect(lost).toEqual({ ...NOTHING_LOST, freshRows: null, deletions: null, patches: null })
      expect(damage).toEqual([{ file: CATALOGUE_NAME, offset: null, what: expect.stringContaining('catalogue') }])
      expect(notes[0]).toContain('fields')
      expect(rows).toBe(segments.totals.rows)
      const { meta } = readCatalogue(path)
      expect(meta).toMatchObject({ metric: shape.metric, bits: shape.bits, dim: shape.dim, idType: shape.ids })
      const after = contentOf(path)
      for (const [id, row] of before) {
        if (row.place === undefined) continue
        const { vector, payload } = after.get(id) ?? {}
        expect(vector).toBe(row.vector)
        if (!row.isPatched) expect(payload).toBe(row.payload)
      }
      const index = ZgqIndex.open<Id>(path)
      expect(index.count({ kind: 'c1' })).toBeGreaterThan(0)
      index.close()
    }
  )

  it.each([
    [
      'cut short',
      (path: string) => {
        writeFileSync(path, 'SQLite format 3\0')
      }
    ],
    [
      'of another program',
      (path: string) => {
        copyFileSync(join(dirname(path), 'ids-000001-00000.zgq'), path)
      }
    ]
  ])('or with one that is %s is repaired alike', async (_, damage) => {
    const input = await changedIndex()
    damage(join(input, CATALOGUE_NAME))
    expect((await errorFrom(repairIndex({ input, output: freshOutput() }))).code).toBe('ZGQ_CORRUPT')
    const { rows, lost } = await repaired(input, { acceptLoss: true })
    expect([rows, lost.rows, lost.freshRows]).toEqual([1000, 0, null])
  })

  it('has the newest row of an id that several segments have', async () => {
    const input = temp.fresh('twice')
    await buildIndex({ input: SMALL, dim: DIM, zones: 4, output: input })
    addDelta(input, rowsOf({ ids: [7, 8, 900], vectors: SMALL.slice(0, 3 * DIM) }))
    addDelta(input, rowsOf({ ids: [8, 901], vectors: SMALL.slice(3 * DIM, 5 * DIM) }))
    rmSync(join(input, CATALOGUE_NAME))
    const { path, rows, lost } = await repaired(input, { acceptLoss: true })
    expect([rows, lost.rows]).toEqual([SMALL.length / DIM + 2, 0])
    const index = ZgqIndex.open(path)
    expect(index.get(7)).toEqual(SMALL.slice(0, DIM))
    expect(index.get(8)).toEqual(SMALL.slice(3 * DIM, 4 * DIM))
    index.close()
  })

  it('leaves out segments that a fold replaced, unless the file that says so is damaged', async () => {
    const input = temp.fresh('folded')
    await buildIndex({ input: SMALL, dim: DIM, zones: 4, output: input })
    const [first] = readCatalogue(input).segments
    // What a fold would leave of the first zone, half of whose rows were deleted.
    const ids = Array.from(contentOf(input)).flatMap(([id, { place }]) =>
      place?.segment.segment === first.segment && place.row % 2 === 0 ? [id] : []
    )
    addDelta(input, rowsOf({ ids, vectors: SMALL.slice(0, ids.length * DIM) }))
    const file = join(input, 'delta-000002-00000.zgq')
    supersede(file, [first.segment])
    rmSync(join(input, CATALOGUE_NAME))
    const { rows, path } = await repaired(input, { acceptLoss: true })
    expect(rows).toBe(SMALL.length / DIM - first.rowCount + ids.length)
    const index = ZgqIndex.open<Id>(path)
    expect(index.get(ids[0])).toEqual(SMALL.slice(0, DIM))
    index.close()
    flipByte(file, statSync(file).size - 1)
    const all = await repaired(input, { acceptLoss: true })
    expect(all.rows).toBe(SMALL.length / DIM)
  })

  it('takes no file of another index among its own', async () => {
    const input = await changedIndex()
    const other = temp.fresh('other')
    await buildIndex({ input: SMALL, dim: DIM, zones: 2, bits: 0, output: other })
    copyFileSync(join(other, 'vectors-000001-00000.zgq'), join(input, 'vectors-000001-00001.zgq'))
    rmSync(join(input, CATALOGUE_NAME))
    const { rows, damage } = await repaired(input, { acceptLoss: true })
    expect(rows).toBe(1000)
    expect(damage.map(({ file }) => file)).toEqual([CATALOGUE_NAME, 'vectors-000001-00001.zgq'])
  })

  it('rejects with ZGQ_BUILD_INPUT for fields that its payloads do not have so', async () => {
    const input = await changedIndex()
    rmSync(join(input, CATALOGUE_NAME))
    const copy = temp.fresh('copy')
    cpSync(input, copy, { recursive: true })
    const output = freshOutput()
    const wrong = repairIndex({ input: copy, output, acceptLoss: true, fields: { kind: 'number' } })
    expect((await errorFrom(wrong)).code).toBe('ZGQ_BUILD_INPUT')
    expect(readdirSync(dirname(output))).toEqual([])
  })
})
