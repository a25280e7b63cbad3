// Windows on objects that a build reads in place: the same rows as from the file, and never rows of another state.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { extname } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'

import { BucketInputs } from '../src/artifacts/bucket-inputs.ts'
import type { InputWindow } from '../src/artifacts/input-window.ts'
import { openIdFile } from '../src/input/id-file.ts'
import type { ByteRange } from '../src/input/row-source.ts'
import { openRawIds, openRawRows } from '../src/input/spool.ts'
import { fetchVectorHead, headRanges } from '../src/input/vector-head.ts'
import { openRowFile, openVectorFile, VECTOR_ENDINGS } from '../src/input/vector-file.ts'
import { s3Store } from '../src/publish.ts'
import { makeVectors } from './support/datasets.ts'
import { startBucket } from './support/s3-proxy.ts'
import { errorFrom } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin, fvecs, npy } from './support/vector-files.ts'

const temp = useTempFolder('window')
const bucket = await startBucket(temp.fresh('s3'))
const store = s3Store({ bucket: bucket.bucket, client: bucket.client() })
const scratch = temp.fresh('scratch')
mkdirSync(scratch)
const inputs = new BucketInputs({ client: bucket.client(), scratch })
const { signal } = new AbortController()
const MEGABYTE = 2 ** 20
const DIM = 24
const COUNT = 60_000
let names = 0

afterAll(async () => {
  await inputs.close()
  expect(readdirSync(scratch)).toEqual([])
  await bucket.close()
})
afterEach(() => {
  bucket.decide = () => 'pass'
})

async function put(bytes: Uint8Array, ending: string): Promise<string> {
  const name = `in/object-${names++}${ending}`
  await store.put(name, bytes, signal)
  return `s3://${bucket.bucket}/${name}`
}

async function openOn(bytes: Uint8Array, ending: string): Promise<InputWindow> {
  return await inputs.open(await inputs.look(await put(bytes, ending), signal))
}

const fetchOf =
  (window: InputWindow) =>
  (ranges: readonly ByteRange[]): Promise<number> =>
    window.fetch(ranges, signal)

const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, 3)

/** u32 n, u32 d, then bytes. */
function u8bin(bytes: Uint8Array, dim: number): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(bytes.length / dim, 0)
  header.writeUInt32LE(dim, 4)
  return Buffer.concat([header, bytes])
}

describe('rows through a window', () => {
  it.each([
    ['.fvecs', fvecs(vectors, DIM)],
    ['.fbin', fbin(vectors, DIM)],
    ['.npy', npy(vectors, DIM)],
    ['.u8bin', u8bin(randomBytes(COUNT * DIM), DIM)]
  ])('of %s are those of the file', async (ending, bytes) => {
    const path = temp.fresh(`rows${ending}`)
    writeFileSync(path, bytes)
    const window = await openOn(bytes, ending)
    expect(extname(window.path)).toBe(ending)
    expect(window.byteLength).toBe(bytes.byteLength)
    await fetchVectorHead(window.path, fetchOf(window))
    const [rows, expected] = [openRowFile(window.path, VECTOR_ENDINGS), openVectorFile(path)]
    expect([rows.count, rows.dim]).toEqual([expected.count, expected.dim])
    for (const [first, count] of [
      [20_000, 10_000],
      [0, 7],
      [COUNT - 5, 5],
      [25_000, 20_000]
    ]) {
      const [found, right] = [new Float32Array(count * DIM), new Float32Array(count * DIM)]
      await window.fetch(rows.rangesOf(first, count), signal)
      rows.readRows(first, found)
      expected.readRows(first, right)
      expect(Buffer.from(found.buffer).equals(Buffer.from(right.buffer))).toBe(true)
    }
    rows.close()
    expected.close()
    await window.close()
    expect(existsSync(window.path)).toBe(false)
  })

  it('of files that the build wrote are those of the file', async () => {
    const ids = Float64Array.from({ length: COUNT }, (_, i) => i * 7)
    const [rowBytes, idBytes] = [new Uint8Array(vectors.buffer), new Uint8Array(ids.buffer)]
    const [rowWindow, idWindow] = [await openOn(rowBytes, '.rows'), await openOn(idBytes, '.ids')]
    const rows = openRawRows(rowWindow.path, { dim: DIM, count: COUNT, label: 'rows' })
    const stored = openRawIds(idWindow.path, { count: COUNT, label: 'ids' })
    await rowWindow.fetch(rows.rangesOf(1000, 50), signal)
    await idWindow.fetch(stored.rangesOf?.(1000, 50) ?? [], signal)
    const [foundRows, foundIds] = [new Float32Array(50 * DIM), new Float64Array(50)]
    rows.readRows(1000, foundRows)
    stored.readIds(1000, foundIds)
    expect(foundRows).toEqual(vectors.subarray(1000 * DIM, 1050 * DIM))
    expect(foundIds).toEqual(ids.subarray(1000, 1050))
    rows.close()
    stored.close()
  })

  it('have ids of .npy, too', async () => {
    const ids = Int32Array.from({ length: COUNT }, (_, i) => COUNT - i)
    const header = Buffer.from(`{'descr': '<i4', 'fortran_order': False, 'shape': (${COUNT},), }`.padEnd(117) + '\n')
    const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0])
    const window = await openOn(Buffer.concat([start, header, Buffer.from(ids.buffer)]), '.npy')
    await window.fetch(headRanges(window.path, window.byteLength), signal)
    const source = openIdFile(window.path)
    await window.fetch(source.rangesOf?.(40_000, 3) ?? [], signal)
    const found = new Float64Array(3)
    source.readIds(40_000, found)
    expect([...found]).toEqual([20_000, 19_999, 19_998])
    source.close()
  })

  it('are refused as those of the file where it is cut or its rows differ', async () => {
    const bytes = fvecs(vectors.subarray(0, 100 * DIM), DIM)
    const cut = await openOn(bytes.subarray(0, -10), '.fvecs')
    await fetchVectorHead(cut.path, fetchOf(cut))
    expect(await errorFrom(Promise.resolve().then(() => openVectorFile(cut.path)))).toMatchObject({
      code: 'ZGQ_TRUNCATED'
    })
    const shifted = await openOn(Buffer.concat([bytes, fvecs(vectors.subarray(0, 30), 10), bytes]), '.fvecs')
    expect(await errorFrom(fetchVectorHead(shifted.path, fetchOf(shifted)))).toMatchObject({ code: 'ZGQ_DIMENSION' })
  })
})

describe('a window', () => {
  const LONG = randomBytes(30 * MEGABYTE)

  it('moves only what is not there, in few requests, and gives it up', async () => {
    const window = await openOn(LONG, '.bin')
    bucket.requests.length = 0
    const rangesAt = (...offsets: number[]): ByteRange[] => offsets.map((offset) => ({ offset, byteLength: 1000 }))
    expect(await window.fetch(rangesAt(0, 2000, 500, 5 * MEGABYTE), signal)).toBe(4000)
    expect(bucket.requests).toHaveLength(2)
    expect(await window.fetch(rangesAt(0, 700, 2000, 5 * MEGABYTE), signal)).toBe(0)
    expect(await window.fetch([{ offset: 0, byteLength: 10_000 }], signal)).toBe(7000)
    expect(window.holds({ offset: 0, byteLength: 10_000 })).toBe(true)
    expect(window.holds({ offset: 0, byteLength: 10_001 })).toBe(false)
    const local = readFileSync(window.path)
    expect(local.subarray(0, 10_000)).toEqual(LONG.subarray(0, 10_000))
    expect(local.subarray(10_000, MEGABYTE).every((byte) => byte === 0)).toBe(true)
    window.release()
    expect(window.holds({ offset: 0, byteLength: 1 })).toBe(false)
    expect(statSync(window.path)).toMatchObject({ size: LONG.byteLength, blocks: 0 })
    await window.close()
    await window.close()
    expect(await errorFrom(window.fetch(rangesAt(0), signal))).toMatchObject({ code: 'ZGQ_CLOSED' })
  })

  it('fetches long ranges in pieces, up to the end and not behind it', async () => {
    const window = await openOn(LONG, '.bin')
    bucket.requests.length = 0
    expect(await window.fetch([{ offset: 5, byteLength: 10 ** 12 }], signal)).toBe(LONG.byteLength - 5)
    expect(bucket.requests).toHaveLength(4)
    expect(readFileSync(window.path).subarray(5).equals(LONG.subarray(5))).toBe(true)
    await window.close()
  })

  it('of an empty object has nothing', async () => {
    const window = await openOn(new Uint8Array(), '.fbin')
    expect(window.byteLength).toBe(0)
    expect(await window.fetch(headRanges(window.path, 0), signal)).toBe(0)
    await window.close()
  })

  it('repeats what fails in passing', async () => {
    const window = await openOn(LONG, '.bin')
    bucket.decide = ({ number }) => (number % 3 === 0 ? 'cut' : 'pass')
    await window.fetch([{ offset: 0, byteLength: LONG.byteLength }], signal)
    expect(readFileSync(window.path).equals(LONG)).toBe(true)
    await window.close()
  })

  it.each([
    ['another content of the same length', (bytes: Uint8Array) => bytes.map((byte) => byte ^ 1)],
    ['more', (bytes: Uint8Array) => Buffer.concat([bytes, bytes])],
    ['less', (bytes: Uint8Array) => bytes.subarray(0, 10)]
  ])('is ZGQ_BUILD_INPUT where the object has %s meanwhile', async (_, change) => {
    const place = await put(randomBytes(5000), '.fbin')
    const window = await inputs.open(await inputs.look(place, signal))
    await window.fetch([{ offset: 0, byteLength: 100 }], signal)
    await store.put(place.slice(`s3://${bucket.bucket}/`.length), change(randomBytes(5000)), signal)
    const error = await errorFrom(window.fetch([{ offset: 50, byteLength: 100 }], signal))
    expect(error).toMatchObject({ code: 'ZGQ_BUILD_INPUT', path: place })
    expect(error.message).toContain('changed while the build read it')
    expect(window.holds({ offset: 100, byteLength: 1 })).toBe(false)
    await window.close()
  })

  it('is ZGQ_BUILD_INPUT where the object is gone meanwhile, ZGQ_NOT_FOUND where it never was', async () => {
    const place = `s3://${bucket.bucket}/in/none.fbin`
    expect(await errorFrom(inputs.look(place, signal))).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
    const window = await inputs.open({ place, byteLength: 100, etag: undefined })
    const error = await errorFrom(window.fetch([{ offset: 0, byteLength: 1 }], signal))
    expect(error).toMatchObject({ code: 'ZGQ_BUILD_INPUT', path: place })
    await window.close()
  })

  it('goes by the length where the store gives no ETag', async () => {
    const place = await put(randomBytes(5000), '.fbin')
    const { byteLength } = await inputs.look(place, signal)
    const window = await inputs.open({ place, byteLength, etag: undefined })
    expect(await window.fetch([{ offset: 0, byteLength: 10 }], signal)).toBe(10)
    const other = await inputs.open({ place, byteLength: byteLength + 1, etag: undefined })
    expect(await errorFrom(other.fetch([{ offset: 0, byteLength: 10 }], signal))).toMatchObject({
      code: 'ZGQ_BUILD_INPUT'
    })
  })

  it('ends by its signal', async () => {
    const window = await openOn(LONG, '.bin')
    const controller = new AbortController()
    bucket.decide = () => {
      controller.abort(new Error('enough'))
      return 'stall'
    }
    await expect(window.fetch([{ offset: 0, byteLength: 10 }], controller.signal)).rejects.toThrow('enough')
    await window.close()
  })

  it.each(['s3://bucket', 's3://bucket/folder/', 'rows.fbin'])('is not on %s', async (place) => {
    await expect(inputs.look(place, signal)).rejects.toThrow(TypeError)
  })
})
