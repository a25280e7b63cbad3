// Names and numbers of manifests: the head of each generation of a published index is an object of its own, and readers
// take the one with the highest number. `latest` holds that number for readers that cannot list; it is a hint.

import { LATEST_NAME, manifestNumber } from '../format/packed-index.ts'
import type { ByteSource } from '../remote/byte-source.ts'
import { toOwnError } from '../remote/foreign-failure.ts'
import type { ObjectStore } from './object-store.ts'

export const MANIFEST_PREFIX = 'manifest-'

/** A number with some room: what is longer is no hint of ours. */
const LATEST_BYTES = 64

/** Returns the highest number among names, 0 where none is a manifest's. */
export function highestManifest(names: readonly string[]): number {
  return names.reduce((highest, name) => Math.max(highest, manifestNumber(name) ?? 0), 0)
}

/** Reads the hint: undefined where there is none, 0 where it is not a number. */
export async function readLatest(store: ByteSource, signal: AbortSignal): Promise<number | undefined> {
  try {
    const { bytes } = await store.getBytes(LATEST_NAME, 0, LATEST_BYTES, signal)
    const text = new TextDecoder().decode(bytes).trim()
    return /^\d{1,15}$/.test(text) ? Number(text) : 0
  } catch (error) {
    if (toOwnError(error)?.code === 'ZGQ_NOT_FOUND') return undefined
    throw error
  }
}

/** Sets the hint to a number; of two at once the lower one may stay, and readers go on from there. */
export async function setLatest(store: ObjectStore, number: number, signal: AbortSignal): Promise<void> {
  if ((await readLatest(store, signal)) !== number) await store.put(LATEST_NAME, latestText(number), signal)
}

export function latestText(number: number): Uint8Array {
  return new TextEncoder().encode(String(number))
}

/** Whether an object consists of these bytes; false where there is no such object. */
export async function holds(
  store: ByteSource,
  object: { readonly name: string; readonly bytes: Uint8Array },
  signal: AbortSignal
): Promise<boolean> {
  try {
    const { bytes } = await store.getBytes(object.name, 0, object.bytes.byteLength + 1, signal)
    return bytes.byteLength === object.bytes.byteLength && bytes.every((byte, i) => byte === object.bytes[i])
  } catch (error) {
    if (toOwnError(error)?.code === 'ZGQ_NOT_FOUND') return false
    throw error
  }
}
