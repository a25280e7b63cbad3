// The programs in the guides, run in the order in which they stand: each guide goes on with what the one before left.

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('guides')

/** Runs a program in a folder that has zgq among its modules; returns what it printed. */
function run(name: string, code: string): string {
  const modules = join(temp.path, 'node_modules')
  mkdirSync(modules, { recursive: true })
  if (!existsSync(join(modules, 'zgq'))) symlinkSync(ROOT, join(modules, 'zgq'), 'junction')
  expect(code).not.toBe('')
  writeFileSync(join(temp.path, name), code)
  const { status, stdout, stderr } = spawnSync(process.execPath, [name], { encoding: 'utf8', cwd: temp.path })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

/** All programs in a guide. */
function blocksOf(guide: string): string[] {
  const text = readFileSync(join(ROOT, guide), 'utf8')
  return Array.from(text.matchAll(/```js\n([^]*?)```/g), ([, code]) => code)
}

it.each(['building', 'searching'])('the first program of docs/%s.md runs', (guide) => {
  run(`${guide}.mjs`, blocksOf(`docs/${guide}.md`).find((code) => code.startsWith('import ')) ?? '')
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

it('the blocks of docs/changing.md are one program, which prints what the comments say', () => {
  const printed = run('changing.mjs', blocksOf('docs/changing.md').join('\n'))
  expect(printed.split('\n').slice(0, 7)).toEqual([
    'The bear sleeps all winter.',
    '1 4',
    '2 rows',
    '3',
    '2',
    'true',
    'true'
  ])
  expect(printed).toMatch(/commit: \d+,\s+freshRows: 3,\s+deltaRows: 0,/)
})

it('the blocks of docs/repairing.md are one program, which prints what stands below it', () => {
  const guide = readFileSync(join(ROOT, 'docs/repairing.md'), 'utf8')
  const [, wanted] = /\n```\n([^]*?)```/.exec(guide.slice(guide.indexOf('prints\n'))) ?? []
  const printed = run('repairing.mjs', blocksOf('docs/repairing.md').join('\n'))
  const ids = /\[\n?[^\]]+\]/
  expect(printed.replace(ids, '[ ... ]')).toBe(`${wanted}1000\n`)
  expect(ids.exec(printed)?.[0].match(/\d+/g)).toHaveLength(16)
})

describe('docs/moving.md', () => {
  const blocks = blocksOf('docs/moving.md')
  const [task, own, ...others] = blocks
  const recipes = others.filter((code) => code.includes("from 'zgq/build'"))
  // The recipe of sqlite-vec may sit on any table: here it is a plain one.
  const standIns: Readonly<Record<string, string>> = {
    '@lancedb/lancedb': `const rows = notes.map((note) => ({ ...note, vector: embed(note.body) }))
      async function* all() { yield { toArray: () => rows.map((row) => ({ toJSON: () => row })) } }
      export const connect = async () => ({ openTable: async () => ({ query: all }) })`,
    'sqlite-vec': `export function load() {}`,
    'better-sqlite3': `import { createRequire } from 'node:module'
      const Database = createRequire(${JSON.stringify(import.meta.url)})('better-sqlite3')
      const db = new Database('notes.db')
      db.exec('CREATE TABLE notes (id TEXT, vector BLOB, path TEXT, size INTEGER, draft INTEGER, tags TEXT, body TEXT)')
      const insert = db.prepare('INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?, ?)')
      for (const { id, path, size, draft, tags, body } of notes)
        insert.run(id, embed(body), path, size, Number(draft), JSON.stringify(tags), body)
      export default Database`,
    chromadb: `const take = (of, { offset, limit }) => notes.slice(offset, offset + limit).map(of)
      export class ChromaClient {
        getCollection = async () => ({ get: async (page) => ({
          ids: take(({ id }) => id, page), embeddings: take(({ body }) => [...embed(body)], page),
          documents: take(({ body }) => body, page),
          metadatas: take(({ id, body, tags, ...rest }) => ({ ...rest, tags: JSON.stringify(tags) }), page)
        }) })
      }`
  }
  beforeAll(() => {
    for (const [name, code] of Object.entries(standIns)) {
      const folder = join(temp.path, 'node_modules', name)
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, type: 'module', exports: './index.js' }))
      writeFileSync(join(folder, 'index.js'), `${task}\n${code}`)
    }
  })

  it('does its task with ZGQ', () => {
    expect(run('own.mjs', `${task}\n${own}`)).toMatch(/'zoo\.md#0',[^]*'old\/bread\.md#0',/)
  })

  it.each(recipes.map((code) => [/output: '([^']+)'/.exec(code)?.[1] ?? '', code]))(
    'moves everything over: %s (with stand-ins for the other libraries)',
    (output, code) => {
      const check = `import { ZgqIndex } from 'zgq'\n${task}
        const index = ZgqIndex.open('${output}')
        const vectorOf = ({ body }) => embed(body)
        for (const { id, ...payload } of notes) {
          const row = index.document(id)
          deepStrictEqual({ ...row, payload: { ...row.payload } }, { id, vector: vectorOf(payload), payload })
        }
        console.log(index.count({ draft: false, tags: { $in: ['zoo', 'food'] } }))`
      run(`${output}.mjs`, code)
      expect(run('check.mjs', `import { deepStrictEqual } from 'node:assert/strict'\n${check}`)).toBe('2\n')
    }
  )

  it('has a recipe for each of three', () => {
    expect(recipes).toHaveLength(3)
  })
})
