// Paths inside an archive of Electron (app.asar) are refused wherever they come in; its unpacked twin is a folder like
// any other.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, calibrateIndex, openVectorFile, readIvecs } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { errorOf } from './support/errors.ts'
import { buildSmall, DIM, errorFrom, SMALL } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('asar')
const resources = temp.path
const archive = join(resources, 'app.asar')
const unpacked = join(resources, 'app.asar.unpacked')
const inside = (name: string): string => join(archive, name)

beforeAll(async () => {
  writeFileSync(archive, 'an archive is a file')
  mkdirSync(unpacked)
  await buildSmall(join(unpacked, 'docs.zgq'))
  writeFileSync(join(unpacked, 'docs.fbin'), fbin(SMALL, DIM))
})

const UNPACK = {
  code: 'ZGQ_UNSUPPORTED',
  message: expect.stringContaining('list it under asarUnpack, and give its path in app.asar.unpacked')
}
const twinOf = (name: string): object => ({
  code: 'ZGQ_UNSUPPORTED',
  path: inside(name),
  message: expect.stringContaining(`give the path of its unpacked copy: ${join(unpacked, name)} (`)
})

describe('a path inside app.asar', () => {
  it.each([
    ['the archive', ''],
    ['a folder in it', 'docs'],
    ['a folder further down', 'a/b/docs']
  ])('is refused with what to do: %s', (_, name) => {
    expect(errorOf(() => ZgqIndex.open(inside(name || '.')))).toMatchObject(
      name === '' ? { code: 'ZGQ_UNSUPPORTED' } : UNPACK
    )
  })

  it('is refused with the path of its unpacked twin where that is there', () => {
    expect(errorOf(() => ZgqIndex.open(inside('docs.zgq')))).toMatchObject(twinOf('docs.zgq'))
  })

  it('is refused however it is written', () => {
    for (const path of [
      relative(process.cwd(), inside('x')),
      join(resources, 'APP.ASAR', 'x'),
      `${resources}/other.asar/x`,
      `${archive}/x/../y`
    ]) {
      expect(errorOf(() => ZgqIndex.open(path)).code, path).toBe('ZGQ_UNSUPPORTED')
    }
  })

  it.each<[string, () => Promise<unknown>, string]>([
    ['checkIndex', () => checkIndex(inside('docs.zgq')), 'docs.zgq'],
    ['calibrateIndex', () => calibrateIndex(inside('docs.zgq')), 'docs.zgq'],
    ['buildIndex as output', () => buildSmall(inside('docs.zgq'), { force: true }), 'docs.zgq'],
    ['buildIndex as input', () => buildIndex({ input: inside('docs.fbin'), output: temp.fresh('index') }), 'docs.fbin'],
    ['buildIndex as ids', () => buildSmall(temp.fresh('index'), { ids: inside('docs.fbin') }), 'docs.fbin'],
    ['buildIndex as queries', () => buildSmall(temp.fresh('index'), { queries: inside('docs.fbin') }), 'docs.fbin']
  ])('is refused by %s, and nothing is left behind', async (_, call, name) => {
    const before = temp.list()
    expect(await errorFrom(call())).toMatchObject(twinOf(name))
    expect([temp.list(), temp.list('app.asar.unpacked')]).toEqual([before, ['docs.fbin', 'docs.zgq']])
  })

  it('is refused before a build begins, though queries are needed at its end', async () => {
    const stages: string[] = []
    await errorFrom(
      buildSmall(temp.fresh('index'), {
        queries: inside('docs.fbin'),
        onProgress: ({ stage }) => {
          stages.push(stage)
        }
      })
    )
    expect(stages).toEqual([])
  })

  it('is refused by the readers of vector files', () => {
    expect(errorOf(() => openVectorFile(inside('docs.fbin')))).toMatchObject(twinOf('docs.fbin'))
    expect(errorOf(() => readIvecs(inside('truth.ivecs')))).toMatchObject(UNPACK)
  })
})

describe('a path that only looks like one inside an archive', () => {
  it('is opened, checked and searched in app.asar.unpacked', async () => {
    const path = join(unpacked, 'docs.zgq')
    expect(await checkIndex(path)).toMatchObject({ ok: true })
    const index = ZgqIndex.open(path)
    expect(index.search(SMALL.subarray(0, DIM), { k: 1 })).toMatchObject([{ id: 0 }])
    index.close()
  })

  it.each(['my.asarray', 'asar', 'a.asar.d'])('is built in a folder named %s', async (name) => {
    const folder = join(resources, name)
    mkdirSync(folder)
    expect(await buildSmall(join(folder, 'index'))).toMatchObject({ count: 500 })
  })

  it('is built beside an archive that the path leaves again', async () => {
    expect(await buildSmall(`${archive}/../beside`)).toMatchObject({ count: 500 })
  })
})
