// Ids and payloads as they are shown to people and in the JSON of `zgq search`. An export writes them so that they can
// be read back: see export-lines.ts.

import type { ChangesInfo, Hit, Id } from '../src/index.ts'

/** Characters of a payload on a line. */
const MOST_CHARACTERS = 200

/** Shows an id; a string that could be mistaken for something else is quoted. */
export function showId(id: Id): string {
  return typeof id === 'number' || /^[^\s"',()]+$/.test(id) ? String(id) : JSON.stringify(id)
}

/** Shows a payload on a line, shortened. */
export function showPayload(payload: unknown): string {
  if (payload === undefined) return 'no payload'
  const text = JSON.stringify(plainJson(payload))
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text
}

/** The counts of what was changed, with words that follow `rows`. */
export function changesOf(changes: ChangesInfo): (readonly [name: string, rows: number])[] {
  const { freshRows, deltaRows, deletedRows, patchedRows } = changes
  return [
    ['fresh in the catalogue', freshRows],
    ['in delta files', deltaRows],
    ['deleted', deletedRows],
    ['with an updated payload', patchedRows]
  ]
}

export function hitsAsJson(hits: readonly Hit<Id, unknown>[]): object[] {
  return hits.map((hit) => ('payload' in hit ? { ...hit, payload: plainJson(hit.payload) ?? null } : hit))
}

/** Makes of a value what JSON can hold: bytes as base64, numbers that are not finite as words. */
export function plainJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (Array.isArray(value)) return value.map(plainJson)
  if (typeof value !== 'object' || value === null) return value
  // Without a prototype, `__proto__` is a key like any other.
  const copy: Record<string, unknown> = Object.create(null)
  for (const [key, one] of Object.entries(value)) copy[key] = plainJson(one)
  return copy
}
