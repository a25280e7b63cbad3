// Publishers beside each other, and publishers that are killed: nothing is lost, and readers find a whole index at
// every moment.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { manifestName } from '../src/format/packed-index.ts'
import { publishIndex, s3Store, type ObjectStore } from '../src/publish.ts'
import { makeVectors } from './support/datasets.ts'
import { readPublished, startPublisher } from './support/published.ts'
import { startBucket, type Fate } from './support/s3-proxy.ts'
import { buildIndex } from '../src/build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('together')
const bucket = await startBucket(temp.fresh('s3'))
const { signal } = new AbortController()
const DIM = 4
const PUBLISHERS = 8
const indexes: string[] = []
let prefixes = 0

afterAll(() => bucket.close())

beforeAll(async () => {
  for (let seed = 0; seed < PUBLISHERS; seed++) {
    const output = temp.fresh('index')
    await buildIndex({
      input: makeVectors('uniform', { count: 50, dim: DIM }, seed),
      dim: DIM,
      output,
      calibrate: false
    })
    indexes.push(output)
  }
})

const freshPrefix = (): string => `p${++prefixes}`
const storeAt = (prefix: string): ObjectStore => s3Store({ bucket: bucket.bucket, client: bucket.client(), prefix })

describe('eight publishers of eight indexes at once', () => {
  it('get eight numbers, and none is lost; the latest one can be read at every moment', async () => {
    const prefix = freshPrefix()
    const store = storeAt(prefix)
    const publishing = indexes.map(async (index, i) => {
      if (i % 2 === 0) return await startPublisher(bucket, index, prefix).ended
      // Those in this process wait until the others have started.
      for (;;)
        if (bucket.requests.some(({ url }) => url.includes(`/${prefix}/latest`))) break
        else await new Promise((resolve) => setTimeout(resolve, 5))
      return await publishIndex({ index, to: storeAt(prefix) })
    })
    const isOver = Promise.all(publishing).then(() => true)
    const seen: number[] = []
    while (!(await Promise.race([isOver, new Promise((resolve) => setTimeout(resolve, 1, false))])))
      seen.push((await readPublished(store))?.manifest ?? 0)
    const reports = await Promise.all(publishing)
    const numbers = reports.map((report) => Reflect.get(Object(report), 'manifest'))
    expect([...numbers].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    for (const report of reports) {
      const { manifest, digest } = Object(report)
      expect(await readPublished(store, manifest)).toEqual({ manifest, digest })
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    const { bytes } = await store.getBytes('latest', 0, 10, signal)
    // A hint: it may be behind where two raised it at once, and readers go on from there.
    expect(Number(new TextDecoder().decode(bytes))).toBeGreaterThan(0)
    expect((await readPublished(store))?.manifest).toBe(PUBLISHERS)
  }, 60_000)
})

describe('a publisher', () => {
  it('that is killed at any request leaves the old index or the new one, and publishing again works', async () => {
    const [old, next] = [await digestOf(indexes[0]), await digestOf(indexes[1])]
    let killed = 0
    for (;;) {
      const prefix = freshPrefix()
      await publishIndex({ index: indexes[0], to: storeAt(prefix) })
      const { child, ended } = startPublisher(bucket, indexes[1], prefix)
      const first = bucket.requests.length
      bucket.decide = ({ number }): Fate => {
        if (number - first < killed) return 'pass'
        child.kill('SIGKILL')
        return 'lost'
      }
      const report = await ended
      bucket.decide = () => 'pass'
      if (report !== undefined) break
      killed++
      const found = await readPublished(storeAt(prefix))
      expect([`1 ${old}`, `2 ${next}`]).toContain(`${String(found?.manifest)} ${String(found?.digest)}`)
      await expectPublished(prefix, next)
    }
    expect(killed).toBeGreaterThan(10)
  }, 120_000)

  it('whose connection breaks after any request was done repeats it, and makes one manifest', async () => {
    const next = await digestOf(indexes[1])
    let broken = 0
    for (;;) {
      const prefix = freshPrefix()
      await publishIndex({ index: indexes[0], to: storeAt(prefix) })
      const first = bucket.requests.length
      bucket.decide = ({ number }): Fate => (number - first === broken ? 'unanswered' : 'pass')
      const report = await publishIndex({ index: indexes[1], to: storeAt(prefix) })
      bucket.decide = () => 'pass'
      expect(report).toMatchObject({ manifest: 2, digest: next, isNew: true })
      if (bucket.requests.length - first <= broken) break
      broken++
      await expectPublished(prefix, next)
    }
    expect(broken).toBeGreaterThan(10)
  }, 120_000)

  /** Publishes again, which must change nothing but what is missing. */
  async function expectPublished(prefix: string, digest: string): Promise<void> {
    const store = storeAt(prefix)
    expect(await publishIndex({ index: indexes[1], to: store })).toMatchObject({ manifest: 2, digest })
    expect(await readPublished(store)).toEqual({ manifest: 2, digest })
    expect((await store.list('manifest-', signal)).sort()).toEqual([manifestName(1), manifestName(2)])
    const { bytes } = await store.getBytes('latest', 0, 10, signal)
    expect(new TextDecoder().decode(bytes)).toBe('2')
  }

  async function digestOf(index: string): Promise<string> {
    return (await publishIndex({ index, to: storeAt(freshPrefix()) })).digest
  }
})
