// The API reference in docs/api is what the docstrings say now.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('api')
const root = fileURLToPath(new URL('..', import.meta.url))

const pages = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')])
  )

it('the API reference is made from the docstrings as they are (else: npm run docs)', () => {
  const out = temp.fresh('api')
  const typedoc = join(dirname(createRequire(import.meta.url).resolve('typedoc/package.json')), 'bin', 'typedoc')
  execFileSync(process.execPath, [typedoc, '--out', out], { cwd: root })
  expect(pages(out)).toEqual(pages(join(root, 'docs', 'api')))
}, 120_000)

it('the API reference leaves out what Node itself has', () => {
  const text = Object.values(pages(join(root, 'docs', 'api'))).join('\n')
  expect(text).not.toMatch(/captureStackTrace|stackTraceLimit|prepareStackTrace/)
})
