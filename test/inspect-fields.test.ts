// What zgq inspect says of documents: kind of ids, model, note, payloads, and the values of declared fields.

import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { ZgqIndex } from '../src/index.ts'
import { drawFields } from '../tools/field-cards.ts'
import { buildNotes, makeNotes } from './support/notes.ts'
import { jsonOf, runZgq } from './support/run-zgq.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('inspect-fields')
const COUNT = 300
const notes = makeNotes(COUNT, 21)
const index = temp.fresh('notes.zgq')
const drafts = notes.filter(({ draft }) => draft).length

beforeAll(() => {
  buildNotes(notes, { input: temp.fresh('notes.jsonl'), output: index })
})

describe('zgq inspect', () => {
  it('prints with --json what fieldSummary tells of each field', () => {
    const open = ZgqIndex.open(index)
    expect(jsonOf('inspect', index)).toMatchObject({
      ids: 'string',
      model: 'model@1',
      note: { by: 'a test' },
      payloadBytes: open.info().files.find(({ kind }) => kind === 'payload')?.bytes,
      fields: ['path', 'size', 'draft', 'tags'].map((name) => open.fieldSummary(name))
    })
    open.close()
  })

  it('prints a line for each field', () => {
    const { stdout } = runZgq('inspect', index)
    expect(stdout).toMatch(/^ {2}ids +strings$/m)
    expect(stdout).toMatch(/^ {2}model +model@1$/m)
    expect(stdout).toMatch(/^ {2}note +\{"by":"a test"\}$/m)
    expect(stdout).toMatch(/^ {2}payloads +[\d.]+ KB$/m)
    expect(stdout).toMatch(/^ {2}path +string +300 rows: 300 values, each once, such as "folder 0\/0\.md"$/m)
    expect(stdout).toMatch(/^ {2}size +number +288 rows, 6 null, 6 without it: 0 to 448\.5 {2}\[[ .:\-=+*#]{20}\]$/m)
    expect(stdout).toContain(`300 rows: false ${COUNT - drafts}, true ${drafts}`)
    expect(stdout).toMatch(/^ {2}tags +string\[\] +300 rows: 6 values, "all" 225, "tag 0" 45, /m)
  })

  it('draws the values on the page', () => {
    const path = temp.fresh('page.html')
    runZgq('inspect', index, '--html', path)
    const words = readFileSync(path, 'utf8')
      .replace(/<(script|style)[^]*?<\/\1>/g, '')
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ')
    for (const fact of [
      'size number 288 rows, 6 null, 6 without it 0 to 448.5',
      `value rows share false ${COUNT - drafts} 67 % true ${drafts} 33 %`,
      '&#34;all&#34; 225 75 %',
      'ids strings',
      'model model@1',
      'note {&#34;by&#34;:&#34;a test&#34;}'
    ])
      expect(words).toContain(fact)
  })
})

it('values of others are text on the page, never markup', async () => {
  const output = temp.fresh('hostile')
  const evil = '<script>alert(1)</script>'
  await buildIndex({
    input: Float32Array.of(1, 2, 3, 4),
    dim: 2,
    payloads: [
      { [evil]: evil, n: -1.7e308 },
      { [evil]: evil, n: 1.7e308 }
    ],
    fields: { [evil]: 'string', n: 'number' },
    output
  })
  const open = ZgqIndex.open(output)
  const { text } = drawFields([open.fieldSummary(evil), open.fieldSummary('n')], 2)
  open.close()
  expect(text).not.toContain('<script')
  expect(text).toContain('&#60;script&#62;')
  expect(text).toContain('-1.70e308 to 1.70e308')
  expect(text).not.toMatch(/NaN|Infinity/)
})
