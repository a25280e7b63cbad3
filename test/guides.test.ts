// The programs in the guides, run in the order in which they stand: each guide goes on with what the one before left.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('guides')

/** Runs a program in a folder that has zgq among its modules; returns what it printed. */
function run(name: string, code: string): string {
  const modules = join(temp.path, 'node_modules')
  if (mkdirSync(modules, { recursive: true }) !== undefined) symlinkSync(ROOT, join(modules, 'zgq'), 'junction')
  expect(code).not.toBe('')
  writeFileSync(join(temp.path, name), code)
  const { status, stdout, stderr } = spawnSync(process.execPath, [name], { encoding: 'utf8', cwd: temp.path })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

/** All blocks of code of a guide. */
function blocksOf(guide: string, language = 'js'): string[] {
  const text = readFileSync(join(ROOT, guide), 'utf8')
  return Array.from(text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g')), ([, code]) => code)
}

it.each(['building', 'searching'])('the first program of docs/%s.md runs', (guide) => {
  run(`${guide}.mjs`, blocksOf(`docs/${guide}.md`).find((code) => code.startsWith('import ')) ?? '')
})

it('the first program of README.md runs', () => {
  expect(run('readme.mjs', blocksOf('README.md')[0])).toContain('{ id: 0, distance: 0 }')
})

it('the blocks of docs/documents.md are one program, which prints what the comments say', () => {
  const printed = run('documents.mjs', blocksOf('docs/documents.md').join('\n'))
  expect(printed.split('\n').slice(0, 5)).toEqual([
    expect.stringMatching(/^zoo\.md#0 0\.\d+ The bear sleeps all winter\.$/),
    expect.stringMatching(/^old\/bread\.md#0 0\.\d+ Dough rests overnight\.$/),
    'zoo.md#0',
    'zoo.md#1',
    expect.stringMatching(/^zoo\.md#1 26 \{$/)
  ])
  expect(printed).toContain('\n1 1\n')
  expect(printed).toMatch(/plan: 'matches'.*\n? *rowsMatched: 1/)
})
