// Repairs of forged indexes: with checksums that fit, with and without the catalogue. They end, in bounded memory, and
// give out nothing that no index can hold.

import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { ZgqError } from '../src/errors.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import { buildSpecimens } from './support/forged-specimens.ts'
import { GROUPS, type Forgery } from './support/forgeries/index.ts'
import { salvageFrom } from './support/repairs.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('repair-forged', IN_MEMORY)
const SEED = 41
const DIM = 8
const COUNT = 300
let folders: ReadonlyMap<string, string> = new Map()
beforeAll(async () => {
  folders = await buildSpecimens(temp, { count: COUNT, dim: DIM, seed: SEED })
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
