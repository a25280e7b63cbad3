// The examples in the tables of docs/documents.md find what stands beside them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

import { FieldSegment, type Row } from './support/field-segment.ts'
import { ROOT } from './support/sources.ts'

const FIELDS = { path: 'string', tags: 'string[]', size: 'number', draft: 'boolean' } as const

/** Cells of all tables of the guide; none of them has a bar in it. */
const LINES = readFileSync(join(ROOT, 'docs', 'documents.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
  )

const code = (cell: string): string => /^`(.*)`$/.exec(cell)?.[1] ?? ''

/** The rows that examples search: number, then a value or a dash for each field. */
const ROWS = LINES.filter(([number]) => /^[1-9]$/.test(number)).map(([, ...cells]): Row =>
  Object.fromEntries(
    Object.keys(FIELDS).flatMap((name, i) => (cells[i] === '-' ? [] : [[name, JSON.parse(code(cells[i]))]]))
  )
)

const EXAMPLES = LINES.map((cells) => cells.slice(-2)).filter(([example]) => example.startsWith('`{'))

it('the guide to filters has rows, and examples of all operators', () => {
  expect(ROWS).toHaveLength(5)
  const operators = [...new Set(EXAMPLES.flatMap(([example]) => example.match(/\$\w+/g) ?? []))].sort()
  expect(operators).toEqual([
    '$all',
    '$and',
    '$contains',
    '$exists',
    '$gt',
    '$in',
    '$lt',
    '$ne',
    '$nin',
    '$nor',
    '$not',
    '$or',
    '$startsWith'
  ])
})

it.each(EXAMPLES)('%s finds rows %s', (example, found) => {
  const rows = new FieldSegment(FIELDS, ROWS).find(JSON.parse(code(example)))
  expect(rows.map((row) => row + 1).join(', ')).toBe(found)
})
