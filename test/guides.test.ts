// The programs in the guides, run in the order in which they stand: each guide goes on with what the one before left.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('guides')

it.each(['building', 'searching'])('the first program of docs/%s.md runs', (guide) => {
  const modules = join(temp.path, 'node_modules')
  mkdirSync(modules, { recursive: true })
  if (guide === 'building') symlinkSync(ROOT, join(modules, 'zgq'), 'junction')
  const code = /```js\n(import [^]*?)```/.exec(readFileSync(join(ROOT, 'docs', `${guide}.md`), 'utf8'))?.[1] ?? ''
  expect(code).not.toBe('')
  writeFileSync(join(temp.path, `${guide}.mjs`), code)
  const { status, stderr } = spawnSync(process.execPath, [`${guide}.mjs`], { encoding: 'utf8', cwd: temp.path })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
