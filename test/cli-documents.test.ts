// zgq search on an index with text ids, payloads and fields.

import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'

import { ZgqIndex } from '../src/index.ts'
import { buildNotes, makeNotes } from './support/notes.ts'
import { jsonOf, runZgq } from './support/run-zgq.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('cli-documents')
const notes = makeNotes(300, 11)
const [{ id, vector }] = notes
const index = temp.fresh('index')
const queries = temp.fresh('queries.jsonl')
const filter = JSON.stringify({ draft: true, size: { $gt: 90 } })
let open: ZgqIndex<string>

beforeAll(() => {
  buildNotes(notes, { input: temp.fresh('notes.jsonl'), output: index })
  writeFileSync(queries, JSON.stringify(vector))
  open = ZgqIndex.open(index)
  return () => {
    open.close()
  }
})

describe('zgq search', () => {
  it('finds string ids', () => {
    expect(jsonOf('search', index, queries, '--k', '3')).toMatchObject({
      queries: [{ hits: open.search([...vector], { k: 3 }) }]
    })
  })

  it('shows string ids as text, and payloads a line each', () => {
    const hits = open.search([...vector], { k: 2, payload: true })
    expect(runZgq('search', index, queries, '--k', '2')).toMatchObject({
      code: 0,
      stdout: `0: ${hits.map((hit) => `${hit.id} (${hit.distance.toPrecision(6)})`).join(', ')}\n`
    })
    const { stdout } = runZgq('search', index, queries, '--k', '2', '--payload')
    expect(stdout.split('\n')).toEqual([
      '0:',
      ...hits.map((hit) => expect.stringContaining(`  ${hit.id} (${hit.distance.toPrecision(6)}) {"path":"folder `)),
      ''
    ])
  })

  it('searches by the id of a stored vector, which is left out', () => {
    const found = jsonOf('search', index, '--id', id, '--k', '4')
    expect(found).toMatchObject({ queries: [{ id, hits: open.search({ id }, { k: 4 }) }] })
    expect(JSON.stringify(found)).not.toContain(`"id":"${id}","distance"`)
    expect(runZgq('search', index, '--id', id, '--k', '1').stdout).toMatch(
      new RegExp(`^${id}: caf\u00e9/\\d+\\.md \\(`)
    )
  })

  it('finds only what meets --filter', () => {
    const expected = notes.filter(({ draft, size }) => draft === true && Number(size ?? 0) > 90).map((note) => note.id)
    const { queries: found }: { queries: { hits: { id: string }[] }[] } = JSON.parse(
      JSON.stringify(jsonOf('search', index, queries, '--k', '300', '--filter', filter))
    )
    expect(found[0].hits.map((hit) => hit.id).sort()).toEqual(expected.sort())
  })

  it('leaves out what is beyond --max-distance', () => {
    const all = open.search([...vector], { k: 10 })
    const limit = all[4].distance
    expect(jsonOf('search', index, queries, '--max-distance', String(limit))).toMatchObject({
      queries: [{ hits: all.filter(({ distance }) => distance <= limit) }]
    })
  })

  it('puts whole payloads into JSON', () => {
    const { vector: _, id: __, ...payload } = notes[0]
    expect(jsonOf('search', index, queries, '--k', '1', '--payload')).toMatchObject({
      queries: [{ hits: [{ id, payload }] }]
    })
  })

  it.each([
    ['a filter that is no JSON', ['--filter', '{draft: true}'], 2, '--filter must be a JSON object'],
    ['a filter on an unknown field', ['--filter', '{"drafts": true}'], 1, 'ZGQ_FILTER: .*drafts'],
    ['--max-distance that is no number', ['--max-distance', 'far'], 2, '--max-distance must be a number, found far'],
    ['--id beside QUERIES', ['--id', 'x'], 2, 'give QUERIES or --id, not both'],
    ['--out for string ids', ['--out', 'hits.ivecs'], 1, 'ZGQ_UNSUPPORTED: .*string ids'],
    ['--payload beside --out', ['--out', 'hits.ivecs', '--payload'], 2, '--out cannot hold payloads']
  ])('refuses %s', (_, options, code, message) => {
    const ended = runZgq('search', index, queries, ...options)
    expect(ended).toMatchObject({ code, stderr: expect.stringMatching(new RegExp(`^zgq: ${message}`)) })
  })

  it('refuses an id that is not there, and neither QUERIES nor --id', () => {
    expect(runZgq('search', index, '--id', 'nobody')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ZGQ_NOT_FOUND: .*"nobody"/)
    })
    expect(runZgq('search', index)).toMatchObject({ code: 2, stderr: expect.stringContaining('QUERIES or --id') })
  })
})

it('zgq eval refuses string ids: the truth has integers', () => {
  expect(runZgq('eval', index, queries, temp.fresh('truth.ivecs'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('ZGQ_UNSUPPORTED: the index has string ids')
  })
})

it('with integer ids, --id is a whole number', () => {
  const numbered = temp.fresh('numbered')
  const input = temp.fresh('numbered.jsonl')
  writeFileSync(input, notes.map((note, i) => JSON.stringify({ id: i * 2, vector: note.vector })).join('\n'))
  jsonOf('build', input, numbered)
  const integers = ZgqIndex.open(numbered)
  expect(jsonOf('search', numbered, '--id', '4')).toMatchObject({
    queries: [{ id: 4, hits: integers.search({ id: 4 }) }]
  })
  integers.close()
  expect(runZgq('search', numbered, '--id', 'four')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--id must be a whole number')
  })
})
