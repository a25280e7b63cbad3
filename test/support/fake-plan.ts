// Plans of what to publish that are not made of an index: a head that names its parts, and a reader that checks them.

import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { PackPlan } from '../../src/pack/pack-plan.ts'
import { manifestName } from '../../src/format/packed-index.ts'
import { highestManifest } from '../../src/pack/manifests.ts'
import type { ByteSource } from '../../src/remote/byte-source.ts'

type FakePart = PackPlan['parts'][number]

/** Makes a part of random bytes in a folder. */
export function fakePart(folder: string, byteLength: number): FakePart {
  const bytes = randomBytes(byteLength)
  const digest = createHash('sha256').update(bytes).digest()
  const name = `vectors-000001-00000-${digest.toString('hex').slice(0, 16)}.zgq`
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return { name, byteLength, digest, path }
}

export function fakePlan(label: string, parts: readonly FakePart[]): PackPlan {
  const named = parts.map(({ name, byteLength, digest }) => ({ name, byteLength, digest: digest.toString() }))
  const head = new TextEncoder().encode(JSON.stringify({ label, parts: named }))
  const byteLength = parts.reduce((sum, part) => sum + part.byteLength, head.byteLength)
  return { head, digest: createHash('sha256').update(head).digest(), parts, byteLength, rows: 0 }
}

/** Reads the latest generation whole; returns its number and label, undefined where there is none. */
export async function readFake(source: ByteSource): Promise<{ number: number; label: string } | undefined> {
  const { signal } = new AbortController()
  const number = highestManifest((await source.list?.('manifest-', signal)) ?? [])
  if (number === 0) return undefined
  const { bytes } = await source.getBytes(manifestName(number), 0, 2 ** 20, signal)
  const { label, parts } = JSON.parse(new TextDecoder().decode(bytes)) as {
    label: string
    parts: { name: string; byteLength: number; digest: string }[]
  }
  for (const { name, byteLength, digest } of parts) {
    const part = await source.getBytes(name, 0, byteLength + 1, signal)
    if (createHash('sha256').update(part.bytes).digest().toString() !== digest) throw new Error(`${name} is damaged`)
  }
  return { number, label }
}
