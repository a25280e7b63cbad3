// Which keys or columns of a file go into the payloads of its rows, and payloads as they are put together from them.

import { ZgqError } from '../errors.ts'
import type { DeclaredField } from '../format/fields.ts'

/** What goes into payloads: the declared fields, and these others or all but the id and the vector. */
export interface PayloadColumns {
  readonly fields: readonly DeclaredField[]
  readonly others: 'all' | readonly string[]
}

/** Batches end where their payloads have about so many bytes, so that memory does not follow their size. */
export const PAYLOAD_BATCH_BYTES = 2 * 2 ** 20

/**
 * Lists the columns that go into payloads, of those that a file has besides `left` (ids and vectors). Throws
 * ZGQ_BUILD_INPUT, naming `path`, for one that it does not have.
 */
export function chooseColumns(
  columns: PayloadColumns,
  found: readonly string[],
  of: { readonly left: readonly (string | undefined)[]; readonly path: string }
): string[] {
  const wanted = namesOf(
    columns,
    found.filter((name) => !of.left.includes(name))
  )
  for (const name of wanted) {
    const count = found.filter((other) => other === name).length
    if (count === 1) continue
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      count === 0
        ? `there is no column ${name} for the payloads: the columns are ${found.join(', ')}`
        : `there are ${count} columns ${name}, expected one: give the others another name`,
      { path: of.path }
    )
  }
  return wanted
}

/** Fields come first, in the order of their declaration, then the others in theirs. */
function namesOf({ fields, others }: PayloadColumns, rest: readonly string[]): string[] {
  return [...new Set([...fields.map(({ name }) => name), ...(others === 'all' ? rest : others)])]
}

/** Takes keys out of an object: all but `left`, or those that are wanted and there. */
export function pickKeys(
  value: Readonly<Record<string, unknown>>,
  columns: PayloadColumns,
  left: readonly (string | undefined)[]
): object {
  const payload = emptyPayload()
  for (const name of namesOf(
    columns,
    Object.keys(value).filter((key) => !left.includes(key))
  ))
    if (Object.hasOwn(value, name)) payload[name] = value[name]
  return payload
}

/** Makes an object without a prototype: there, any name is one like any other. */
export function emptyPayload(): Record<string, unknown> {
  const payload: Record<string, unknown> = Object.create(null)
  return payload
}
