// The reader that an app may ask for, mmap-io: the contract of readers, whole indexes through it, and what it refuses.

import { mkdirSync, openSync, closeSync, ftruncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { expectMmapIo, openMmapIoReader } from '../src/storage/mmap-io-reader.ts'
import type { MmapIo } from '../src/storage/native-modules.ts'
import { makeVectors } from './support/datasets.ts'
import { compileShim } from './support/electron-shim.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { installMmapIo, MMAP_IO_MODULES, requireMmapIo } from './support/install-mmap-io.ts'
import { describeReader, numbered } from './support/reader-contract.ts'
import { printedBy, runNode } from './support/run-node.ts'
import { buildSmall, DIM } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const INSTALL_MS = 600_000
const GIB = 2 ** 30
const WITH_MMAP_IO = { NODE_PATH: MMAP_IO_MODULES }

const temp = useTempFolder('mmap-io')
let mmapIo: MmapIo
beforeAll(() => {
  installMmapIo()
  mmapIo = requireMmapIo()
}, INSTALL_MS)

describeReader({ name: 'mmap-io', open: (files) => openMmapIoReader(files, mmapIo), mapsUntil: 'collected' })

/** A file of zeros that takes no room on the disk. */
function makeSparse(byteLength: number): { path: string; byteLength: number } {
  const path = temp.fresh('sparse')
  const descriptor = openSync(path, 'w')
  ftruncateSync(descriptor, byteLength)
  closeSync(descriptor)
  return { path, byteLength }
}

describe('a file for mmap-io', () => {
  it('may have 1 GiB, and is read to its last byte', () => {
    const file = makeSparse(GIB)
    const reader = openMmapIoReader(numbered(file), mmapIo)
    const target = Buffer.alloc(2, 1)
    reader.read(0, GIB - 2, target)
    reader.close()
    expect([...target]).toEqual([0, 0])
  })

  it('is refused above that, with its path, its length and what to do', () => {
    const file = makeSparse(GIB + 4096)
    const error = errorOf(() => openMmapIoReader(numbered(file), mmapIo))
    expect(error).toMatchObject({ code: 'ZGQ_UNSUPPORTED', path: file.path })
    expect(error.message).toMatch(/at most, this one has 1073745920\. Use mapping: 'auto', 'mmap' or 'pread'/)
  })

  it('that cannot be mapped is an error with the reason', () => {
    const failing: MmapIo = {
      ...mmapIo,
      PROT_READ: mmapIo.PROT_READ,
      map: () => {
        throw new Error('mmap failed, 12')
      }
    }
    expect(errorOf(() => openMmapIoReader(numbered(makeSparse(4096)), failing))).toMatchObject({
      code: 'ZGQ_IO',
      message: expect.stringContaining('mmap failed, 12')
    })
  })
})

describe('an index through mmap-io', () => {
  const queries = Array.from(makeVectors('clustered', { count: 5, dim: DIM }, 7))

  /** Searches in every way with one mapping, in a process of its own. */
  const searchBy = (path: string, mapping: string): unknown =>
    printedBy(
      `
    const index = ZgqIndex.open(${JSON.stringify(path)}, { mapping: '${mapping}', cacheBytes: 0 })
    const queries = ${JSON.stringify(queries)}
    const ways = [{ exact: true }, { nprobe: 3 }, { nprobe: 10, k: 50 }, { recall: 0.9 }, { k: 1, nprobe: 1, rerank: 20 }]
    const found = ways.map((way) => Array.from({ length: 5 }, (_, i) => index.search(queries.slice(i * ${DIM}, (i + 1) * ${DIM}), way)))
    print({ kind: index.info().reader.kind, reason: index.info().reader.reason, found, row: Array.from(index.get(17)) })
    index.close()`,
      WITH_MMAP_IO
    )

  it.each([
    ['l2', 0],
    ['l2', 4],
    ['cosine', 2],
    ['ip', 1]
  ] as const)('gives the hits of pread (%s, %i bits)', async (metric, bits) => {
    const path = temp.fresh('index')
    await buildSmall(path, { metric, bits })
    const found = searchBy(path, 'mmap-io')
    expect(found).toMatchObject({ kind: 'mmap-io', reason: 'asked for' })
    expect(found).toEqual({ ...Object(searchBy(path, 'pread')), kind: 'mmap-io' })
  })

  it('is not what auto takes, even where mmap-io is installed', async () => {
    const path = temp.fresh('index')
    await buildSmall(path)
    expect(searchBy(path, 'auto')).toMatchObject({ kind: expect.stringMatching(/^(mmap|pread)$/) })
  })

  describe('is refused, with a reason and what to do instead,', () => {
    let path: string
    beforeAll(async () => {
      path = temp.fresh('index')
      await buildSmall(path)
    })
    /** Code of a script that prints the error of opening the index. */
    const opening = (): string =>
      `try { ZgqIndex.open(${JSON.stringify(path)}, { mapping: 'mmap-io' }); print('opened') } catch ({ code, ` +
      'message }) { print({ code, message }) }'
    const refusal = (reason: RegExp): unknown => ({
      code: 'ZGQ_UNSUPPORTED',
      message: expect.stringMatching(
        new RegExp(`^mapping: 'mmap-io' cannot be used: ${reason.source}.*Use mapping: 'auto', 'mmap' or 'pread'`, 's')
      )
    })

    it('where the package is not installed', () => {
      expect(printedBy(opening())).toEqual(
        refusal(/mmap-io does not load: Cannot find module 'mmap-io'.*npm install mmap-io@1\.1\.7/)
      )
    })

    it('where the package was not compiled', () => {
      const modules = temp.fresh('modules')
      mkdirSync(join(modules, 'mmap-io'), { recursive: true })
      writeFileSync(join(modules, 'mmap-io', 'index.js'), `require('./build/Release/mmap-io')`)
      expect(printedBy(opening(), { NODE_PATH: modules })).toEqual(
        refusal(/mmap-io does not load: Cannot find module '\.\/build\/Release\/mmap-io'/)
      )
    })

    it('in a worker thread', () => {
      const found = printedBy(
        `
        import { Worker } from 'node:worker_threads'
        const code = \`const { parentPort } = require('node:worker_threads'); const { ZgqIndex } = require(\${JSON.stringify(require.resolve('./dist/index.cjs'))}); const print = (value) => { parentPort.postMessage(value) }; ${opening()}\`
        new Worker(code, { eval: true, execArgv: [] }).on('message', print)`,
        WITH_MMAP_IO
      )
      expect(found).toEqual(refusal(/this is a worker thread/))
    })

    it('in Electron, before the package is loaded', () => {
      const found = printedBy(
        `Object.defineProperty(process, 'versions', { value: { ...process.versions, electron: '33.0.0' } }); ` +
          `${opening()}`
      )
      expect(found).toEqual(refusal(/mmap-io makes Buffers over foreign memory, for which Electron ends the process/))
    })

    it('on Windows', () => {
      const platform = Object.getOwnPropertyDescriptor(process, 'platform')!
      Object.defineProperty(process, 'platform', { ...platform, value: 'win32' })
      try {
        expect(codeOf(expectMmapIo)).toBe('ZGQ_UNSUPPORTED')
      } finally {
        Object.defineProperty(process, 'platform', platform)
      }
    })
  })
})

describe.runIf(process.platform === 'linux')('mmap-io without its guard, under the memory cage of Electron', () => {
  it('ends the process', () => {
    const script = `
      const { openSync } = await import('node:fs')
      const mmapIo = require('mmap-io')
      print(mmapIo.map(100, mmapIo.PROT_READ, mmapIo.MAP_SHARED, openSync(${JSON.stringify(makeSparse(4096).path)}), 0).length)`
    expect(printedBy(script, WITH_MMAP_IO)).toBe(100)
    expect(runNode(script, { ...WITH_MMAP_IO, ...compileShim(temp).env })).toMatchObject({
      signal: 'SIGABRT',
      printed: undefined,
      stderr: expect.stringContaining(`outside of V8's cage`)
    })
  })
})
