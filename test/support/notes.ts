// A small index of notes with text ids, payloads and fields, as the command builds it from JSON lines.

import { writeFileSync } from 'node:fs'

import type { Fields } from '../../src/build.ts'
import { rowOf } from './brute-force.ts'
import { makeVectors } from './datasets.ts'
import { jsonOf } from './run-zgq.ts'

export const NOTES_DIM = 8
export const NOTES_FIELDS: Fields = { path: 'string', size: 'number', draft: 'boolean', tags: 'string[]' }
export const NOTES_OPTIONS = [
  '--metric',
  'cosine',
  '--fields',
  Object.entries(NOTES_FIELDS)
    .map(([name, type]) => `${name}:${type}`)
    .join(','),
  '--payload',
  'all'
]

export interface NoteLine {
  readonly id: string
  readonly vector: readonly number[]
  readonly [key: string]: unknown
}

export function makeNotes(count: number, seed: number): NoteLine[] {
  const vectors = makeVectors('clustered', { count, dim: NOTES_DIM }, seed)
  return Array.from({ length: count }, (_, i) => ({
    id: `caf\u00e9/${i}.md`,
    vector: [...rowOf(vectors, NOTES_DIM, i)],
    path: `folder ${i % 7}/${i}.md`,
    ...(i % 50 === 3 ? {} : { size: i % 50 === 4 ? null : i * 1.5 }),
    draft: i % 3 === 0,
    tags: i % 4 === 0 ? [] : ['all', `tag ${i % 5}`],
    body: `text of ${i}\n"quoted"`,
    nested: { ['__proto__']: [-0.5, 1e300, { deep: null }] }
  }))
}

/** Builds an index of notes. */
export function buildNotes(notes: readonly NoteLine[], paths: { input: string; output: string }): void {
  writeFileSync(paths.input, notes.map((note) => `${JSON.stringify(note)}\n`).join(''))
  jsonOf('build', paths.input, paths.output, ...NOTES_OPTIONS, '--model', 'model@1', '--note', '{"by":"a test"}')
}
