// The worked example of the spec (section 13) against the bytes that a build writes.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'

const folder = mkdtempSync(join(tmpdir(), 'zgq-example-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

it('writes the bytes that the worked example of the spec shows', async () => {
  const output = join(folder, 'example.zgq')
  await buildIndex({ input: Float32Array.of(1, 2, 3, 4), dim: 2, ids: [7, 9], zones: 1, bits: 0, seed: 1, output })
  const bytes = readFileSync(join(output, 'vectors-000001-00000.zgq'))
  const spec = readFileSync(new URL('../format-spec/README.md', import.meta.url), 'utf8')
  const shown = Array.from(
    spec.matchAll(/^([0-9a-f]{8}) {2}((?:[0-9a-f]{2} ){15}[0-9a-f]{2})$/gm),
    ([, offset, hex]) => ({ offset: parseInt(offset, 16), hex })
  )
  expect(shown.length).toBeGreaterThan(20)
  const expected = Buffer.alloc(16_384)
  for (const { offset, hex } of shown) expected.set(Buffer.from(hex.replaceAll(' ', ''), 'hex'), offset)
  expect(bytes.toString('hex')).toBe(expected.toString('hex'))
})
