// A row as a line of JSON that `zgq build` reads back: the same id, float32 values and payload. What JSON
// cannot hold is an error, not an approximation.

import { ZgqError, type Id, type Payload, type StoredDocument } from '../src/index.ts'
import { showId } from './shown-values.ts'

/** Keys of a line besides those of the payload. */
export interface LineKeys {
  readonly id: string
  readonly vector: string
}

/** Throws ZGQ_UNSUPPORTED, naming the id and the key, for a payload that has no place in a line. */
export function lineOf({ id, vector, payload }: StoredDocument<Id>, keys: LineKeys): string {
  const start = `{${JSON.stringify(keys.id)}:${JSON.stringify(id)},${JSON.stringify(keys.vector)}:${floats(vector)}`
  return payload === undefined ? `${start}}\n` : `${start}${payloadKeys(payload, id, keys)}}\n`
}

function payloadKeys(payload: Payload, id: Id, keys: LineKeys): string {
  return Object.entries(payload)
    .map(([key, value]) => {
      if (key === keys.id || key === keys.vector) {
        const option = key === keys.id ? '--id-column' : '--column'
        const what = key === keys.id ? 'ids' : 'vectors'
        throw new ZgqError(
          'ZGQ_UNSUPPORTED',
          `the payload of ${showId(id)} has the key ${JSON.stringify(key)}, too: ` +
            `name another one for ${what} with ${option}`
        )
      }
      return `,${JSON.stringify(key)}:${jsonOf(value, `of ${showId(id)} at ${key}`)}`
    })
    .join('')
}

/** Nine digits tell all float32 values apart. */
function floats(vector: Float32Array): string {
  return `[${Array.from(vector, (value) => (Object.is(value, -0) ? '-0' : Number(value.toPrecision(9)))).join(',')}]`
}

function jsonOf(value: unknown, where: string): string {
  if (value instanceof Uint8Array) throw noJson(where, 'bytes')
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw noJson(where, String(value))
    return Object.is(value, -0) ? '-0' : String(value)
  }
  if (Array.isArray(value)) return `[${value.map((element, i) => jsonOf(element, `${where}[${i}]`)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value)
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${jsonOf(one, `${where}.${key}`)}`).join(',')}}`
}

function noJson(where: string, found: string): ZgqError {
  return new ZgqError(
    'ZGQ_UNSUPPORTED',
    `the payload ${where} has ${found}, which JSON cannot hold: list the keys to write with --payload, without this one`
  )
}
