// What Electron forbids, forbidden on plain Node: under a shim that refuses every ArrayBuffer over foreign memory,
// readers and indexes do all that they do without it.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { compileShared, compileShim, type Shim } from './support/electron-shim.ts'
import { printedBy, runNode } from './support/run-node.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('electron-shim')

/** The dynamic linker that can be told so is that of glibc. */
describe.runIf(process.platform === 'linux')('under the memory cage of Electron', () => {
  let shim: Shim
  beforeAll(() => {
    shim = compileShim(temp)
  })

  describe('the shim itself', () => {
    it('answers Node-API with napi_no_external_buffers_allowed, which plain Node does not', () => {
      const addon = compileShared(temp, 'external-buffers.c', 'external-buffers.node')
      const script = `print(require(${JSON.stringify(addon)}))`
      expect(printedBy(script)).toEqual({ arrayBuffer: 0, buffer: 0 })
      expect(printedBy(script, shim.env)).toEqual({ arrayBuffer: 22, buffer: 22 })
      expect(shim.addons()).toContain(addon)
    })

    it('reaches into koffi: a view of foreign memory, which zgq never asks for, fails', () => {
      const script = `const koffi = require('koffi'); print(koffi.view(koffi.alloc('int', 4), 16).byteLength)`
      expect(printedBy(script)).toBe(16)
      const { code, printed } = runNode(script, shim.env)
      expect([code === 0, printed]).toEqual([false, undefined])
    })
  })

  it('every reader keeps its contract', () => {
    const before = shim.addons().length
    const inherited = Object.entries(process.env).filter(
      ([name]) => !name.startsWith('VITEST') && name !== 'ZGQ_TEST_RESULTS'
    )
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        join(ROOT, 'node_modules/vitest/vitest.mjs'),
        'run',
        'test/readers.test.ts',
        '--reporter=json',
        '--maxWorkers=1'
      ],
      {
        cwd: ROOT,
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
        env: { ...Object.fromEntries(inherited), ...shim.env }
      }
    )
    expect({ status, stderr }).toMatchObject({ status: 0 })
    const report: unknown = JSON.parse(stdout)
    const results: unknown[] = Object(report).testResults.flatMap((file: object) => Object(file).assertionResults)
    const ran = results.map((result) => ({
      name: String(Object(result).fullName),
      status: String(Object(result).status)
    }))
    expect(ran.filter(({ status }) => status !== 'passed')).toEqual([])
    const counts = ['pread', 'pread without readahead', 'mmap'].map(
      (reader) => ran.filter(({ name }) => name.startsWith(`a reader by ${reader} (`)).length
    )
    expect(counts[0]).toBeGreaterThan(25)
    expect(counts).toEqual([counts[0], counts[0], counts[0]])
    expect(
      shim
        .addons()
        .slice(before)
        .filter((path) => path.endsWith('koffi.node')).length
    ).toBeGreaterThan(0)
  })

  it('an index is built, checked, opened and searched as without it', () => {
    const script = (output: string): string => `
      const vectors = Float32Array.from({ length: 3000 * 16 }, (_, i) => ((i * 7919) % 1009) / 1009)
      const output = ${JSON.stringify(output)}
      const { indexId } = await buildIndex({ input: vectors, dim: 16, output, zones: 20, ids: Float64Array.from({ length: 3000 }, (_, i) => i * 3) })
      const { ok, pagesChecked } = await checkIndex(output)
      const found = ['mmap', 'pread', 'auto'].map((mapping) => {
        const index = ZgqIndex.open(output, { mapping, cacheBytes: 0 })
        const hits = [{ exact: true }, { nprobe: 4 }, { recall: 0.9, k: 30 }].map((way) => [0, 100, 2999].map((row) => index.search(vectors.subarray(row * 16, row * 16 + 16), way)))
        const { kind } = index.info().reader
        const row = Array.from(index.get(300))
        index.close()
        return { kind, hits, row }
      })
      print({ indexId, ok, pagesChecked, found })`
    const before = shim.addons().length
    const under = printedBy(script(temp.fresh('index')), shim.env)
    expect(under).toMatchObject({ ok: true, found: [{ kind: 'mmap' }, { kind: 'pread' }, {}] })
    expect(under).toEqual(printedBy(script(temp.fresh('index'))))
    const loaded = shim.addons().slice(before).join('\n')
    expect(loaded).toMatch(/koffi\.node/)
    expect(loaded).toMatch(/better-sqlite3/)
  })
})
