// Repairs of forged indexes: with checksums that fit, with and without the catalogue. They end, in bounded memory, and
// give out nothing that no index can hold.

import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { ZgqError } from '../src/errors.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import { makeVectors } from './support/datasets.ts'
import { buildDocuments } from './support/document-index.ts'
import { GROUPS, type Forgery } from './support/forgeries/index.ts'
import { salvageFrom } from './support/repairs.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('repair-forged', IN_MEMORY)
const SEED = 41
const DIM = 8
const COUNT = 300
const SPECIMENS = {
  usual: { metric: 'l2', bits: 2 },
  cosine: { metric: 'cosine', bits: 2 },
  plain: { metric: 'ip', bits: 0 }
} as const

const folders = new Map<string, string>()
beforeAll(async () => {
  for (const [name, options] of Object.entries(SPECIMENS)) {
    const output = temp.fresh(name)
    const input = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
    await buildIndex({ ...options, input, dim: DIM, zones: 6, output, queries: input.slice(0, 40 * DIM) })
    folders.set(name, output)
  }
  const documents = temp.fresh('documents')
  await buildDocuments({ output: documents, count: COUNT, dim: DIM, metric: 'l2', bits: 2, ids: 'string', seed: SEED })
  folders.set('documents', documents)
})

/** In the daily tests a tenth of them, those with two rows of one id always. */
const some = (forgeries: readonly Forgery[]): Forgery[] =>
  forgeries.filter(({ title }, i) => i % step(10) === 0 || /an id (twice|in two)/.test(title))

/** Says what is wrong with what is left of a forged index; undefined: nothing. */
async function complaintOf(folder: string): Promise<string | undefined> {
  try {
    const { rows, lost } = await salvageFrom(folder, true, true)
    if (rows.size > COUNT) return `${rows.size} rows`
    if (lost.ids.length > 1000 || lost.segments.length > 1000) return 'long lists'
    for (const [id, { vector }] of rows) {
      const isId = typeof id === 'string' ? id !== '' : Number.isSafeInteger(id) && id >= 0
      if (!isId) return `the id ${id}`
      const values = new Float32Array(Uint8Array.from(Buffer.from(vector, 'hex')).buffer)
      if (values.some((value) => !Number.isFinite(value))) return `the vector ${Array.from(values).join()}`
    }
    return undefined
  } catch (error) {
    return error instanceof ZgqError ? undefined : String(error)
  }
}

describe.each(GROUPS)(`forged %s (seed ${SEED})`, (_, forgeries) => {
  it.each(some(forgeries).map((forgery: Forgery): [string, Forgery] => [forgery.title, forgery]))(
    '%s',
    async (__, forgery) => {
      const folder = temp.fresh('index')
      cpSync(folders.get(forgery.of ?? 'usual') ?? '', folder, { recursive: true })
      forgery.forge(folder)
      expect(await complaintOf(folder)).toBeUndefined()
      rmSync(join(folder, CATALOGUE_NAME), { recursive: true, force: true })
      expect(await complaintOf(folder)).toBeUndefined()
      rmSync(folder, { recursive: true, force: true })
    }
  )
})
