// Objects of a store that fit into memory: read whole, or stored by one of several publishers.

import { ZgqError } from '../errors.ts'
import type { ObjectStore } from '../pack/object-store.ts'

/** Most objects come whole by one request for so many bytes. */
const FIRST_BYTES = 2 ** 20
/** An object may be removed between two requests, but not for ever. */
const MOST_ATTEMPTS = 10

/** Reads an object whole; undefined where there is none. */
export async function readWhole(
  store: ObjectStore,
  name: string,
  signal: AbortSignal
): Promise<Uint8Array | undefined> {
  try {
    const first = await store.getBytes(name, 0, FIRST_BYTES, signal)
    const byteLength = first.byteLength ?? first.bytes.byteLength
    if (byteLength === first.bytes.byteLength) return first.bytes
    return (await store.getBytes(name, 0, byteLength, signal)).bytes
  } catch (error) {
    if (error instanceof ZgqError && error.code === 'ZGQ_NOT_FOUND') return undefined
    throw error
  }
}

interface Publication {
  readonly name: string
  readonly bytes: Uint8Array
  /** Whether the store is known to refuse what is there already. */
  readonly isTried: boolean
}

/**
 * Stores an object where there is none, and returns what is there now. Rejects with ZGQ_UNSUPPORTED for a store that
 * stores over what is there: two publishers at once would each take its own object for the one of all.
 */
export async function publishOnce(
  store: ObjectStore,
  { name, bytes, isTried }: Publication,
  signal: AbortSignal
): Promise<Uint8Array> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const isOurs = await store.putIfAbsent(name, bytes, signal)
    if (isOurs && !isTried) await expectRefusal(store, { name, bytes }, signal)
    const found = isOurs ? bytes : await readWhole(store, name, signal)
    if (found !== undefined) return found
    // It was removed in between.
  }
  throw new ZgqError('ZGQ_IO', `the store refuses ${name} as if it were there, and it is not`, { path: store.place })
}

/** Stores something else under the name of a moment ago, which a store that keeps to If-None-Match refuses. */
async function expectRefusal(
  store: ObjectStore,
  { name, bytes }: { readonly name: string; readonly bytes: Uint8Array },
  signal: AbortSignal
): Promise<void> {
  const other = new Uint8Array(bytes.byteLength + 1)
  if (!(await store.putIfAbsent(name, other, signal))) return
  await store.put(name, bytes, signal)
  throw unsafeStore(store, name)
}

function unsafeStore({ place }: ObjectStore, name: string): ZgqError {
  return new ZgqError(
    'ZGQ_UNSUPPORTED',
    `the store does not keep to If-None-Match: it stored ${name} over an object that was there. Machines that build ` +
      'together need a bucket with conditional writes (AWS S3, MinIO, R2 and others have them), or a folder that all ' +
      'of them see',
    { path: place }
  )
}
