// Indexes that no build writes and the spec allows: several segments a zone, empty zones, rows in any order, files of
// several generations, chunks of any size. They are whole, and search finds what brute force finds.

import { cpSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { COLUMN } from './support/forge/extent.ts'
import { moveToGeneration, rechunk, splitSegment, turnRows } from './support/forge/legal.ts'
import { forge, type Parts } from './support/forge/parts.ts'
import { STRUCTURES } from './support/forge/structures.ts'
import { expectNearest } from './support/hits.ts'
import { tableRows } from './support/spec.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('forged-legal', IN_MEMORY)
const SEED = 43
const [COUNT, DIM, ZONES] = [400, 8, 6]
const QUERIES = makeVectors('clustered', { count: 5, dim: DIM }, SEED + 1)

describe('a forger', () => {
  it.each(Object.entries(STRUCTURES))('knows the %s by the spec', (name, { fields }) => {
    const rows = tableRows(`Layout: ${name}`).map(([offset, type, field]) => [
      field,
      offset,
      type.replace('flags64', 'u64')
    ])
    const own = Object.entries(fields).map(([field, { offset, type }]) => [field, String(offset), type])
    expect(rows.filter(([field]) => !['header', 'packed header'].includes(name) || field !== 'crc')).toEqual(own)
  })
})

const SPECIMENS = [
  { metric: 'l2', bits: 0 },
  { metric: 'l2', bits: 4 },
  { metric: 'cosine', bits: 1 },
  { metric: 'ip', bits: 2 },
  { metric: 'ip', bits: 8 }
] as const

/** Segments that have enough rows to be split. */
const splittable = (parts: Parts): number[] =>
  [...parts.segments.keys()].filter((i) => parts.segments[i].get('rowCount') > 32)

const CHANGES: readonly { title: string; withCodes: boolean; change: (parts: Parts) => void }[] = [
  {
    title: 'with several segments a zone',
    withCodes: true,
    change: (parts) => {
      const split = splittable(parts)
      expect(split.length).toBeGreaterThan(1)
      for (const segment of split) splitSegment(parts, segment)
    }
  },
  {
    // Codes depend on the centroid of their zone.
    title: 'whose segments are all of one zone, the others empty',
    withCodes: false,
    change: (parts) => {
      for (const record of parts.segments) record.set('zone', 4)
    }
  },
  {
    title: 'with empty zones behind the others',
    withCodes: false,
    change: (parts) => {
      parts.centroids.push(new Float32Array(DIM), new Float32Array(DIM).fill(1))
      parts.recount()
    }
  },
  {
    title: 'whose rows are in descending order of ids',
    withCodes: false,
    change: (parts) => {
      for (const i of parts.segments.keys()) turnRows(parts, i)
    }
  },
  {
    title: 'whose vectors are of another generation than the codes',
    withCodes: true,
    change: (parts) => {
      moveToGeneration(parts, 'vectors', 7)
      parts.index.set('generation', 7)
    }
  },
  {
    title: 'whose codes are of a later generation, older than the index',
    withCodes: true,
    change: (parts) => {
      if (parts.bits > 0) moveToGeneration(parts, 'codes', 2)
      parts.index.set('generation', 1000)
    }
  },
  {
    title: 'with a chunk for each record, and numbers with gaps',
    withCodes: true,
    change: (parts) => {
      parts.dropIds() // it names segments by their numbers
      for (const [i, record] of parts.segments.entries()) {
        record.set('segment', i * 1000 + 17)
        parts.extent(i, 'vectors').header.set('segment', i * 1000 + 17)
        if (parts.bits > 0) parts.extent(i, 'codes').header.set('segment', i * 1000 + 17)
      }
      parts.recount()
      rechunk(parts, 32, 1)
    }
  },
  {
    title: 'that supersedes segments of older files',
    withCodes: true,
    change: (parts) => {
      parts.file('vectors').directory.superseded = Array.from({ length: 9_000 }, (_, i) => BigInt(i + 50))
    }
  },
  {
    title: 'some of whose segments were superseded',
    withCodes: true,
    change: (parts) => {
      parts.dropIds()
      const next = parts.index.get('nextSegment')
      parts.segments.splice(1, 3)
      parts.recount()
      parts.index.set('nextSegment', next)
    }
  },
  {
    title: 'all of whose segments were superseded',
    withCodes: true,
    change: (parts) => {
      parts.dropIds()
      parts.segments.length = 0
      parts.recount()
      parts.index.set('nextSegment', 9)
    }
  },
  {
    title: 'without zones, files and segments',
    withCodes: true,
    change: (parts) => {
      parts.segments.length = 0
      parts.files.length = 0
      parts.centroids.length = 0
      parts.zoneCodes = new Uint8Array(0)
      parts.meta.delete('calibration')
      parts.recount()
    }
  }
]

/** Ids that an index still has. */
function idsOf(parts: Parts): number[] {
  return parts.segments.flatMap((record) => {
    const file = parts.file('vectors')
    const at = record.get('columnsOffset')
    const entry = at + 24 // the first entry is that of the ids
    const view = new DataView(file.bytes.buffer)
    expect(view.getUint32(entry, true)).toBe(COLUMN.ids)
    const ids = at + Number(view.getBigUint64(entry + 8, true))
    return Array.from({ length: record.get('rowCount') }, (_, i) => Number(view.getBigUint64(ids + i * 8, true)))
  })
}

describe.each(SPECIMENS)(`an index ($metric, $bits bits, seed ${SEED})`, ({ metric, bits }) => {
  const input = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
  const original = temp.fresh('original')
  beforeAll(async () => {
    await buildIndex({
      metric,
      bits,
      input,
      dim: DIM,
      zones: ZONES,
      output: original,
      queries: input.slice(0, 40 * DIM)
    })
  })

  it.each(CHANGES.filter(({ withCodes }) => withCodes || bits === 0))(
    '$title is whole and finds what brute force finds',
    async ({ change }) => {
      const folder = temp.fresh('index')
      cpSync(original, folder, { recursive: true })
      let ids: number[] = []
      forge(folder, (parts) => {
        change(parts)
        ids = idsOf(parts)
      })
      expect(await checkIndex(folder)).toMatchObject({ ok: true, count: ids.length })
      const rows = Float32Array.from(ids.flatMap((id) => [...rowOf(input, DIM, id)]))
      const index = ZgqIndex.open(folder)
      try {
        expect(index.info().count).toBe(ids.length)
        for (let i = 0; i < 5; i++) {
          const query = rowOf(QUERIES, DIM, i)
          for (const options of [{}, { exact: true }, { nprobe: 100, rerank: COUNT }] as const)
            expectNearest(index.search(query, { k: 10, ...options }), { metric, rows, ids, query }, 10)
          expect(index.search(query, { k: 10, recall: 0.9 }).length).toBe(Math.min(10, ids.length))
        }
        for (const id of [0, 7, 150, COUNT - 1]) {
          expect(index.has(id)).toBe(ids.includes(id))
          expect(index.get(id)).toEqual(ids.includes(id) ? rowOf(input, DIM, id) : undefined)
        }
      } finally {
        index.close()
      }
    }
  )
})
