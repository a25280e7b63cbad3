// Stores that the tests of a file open: closed in the end, with nothing left of their copies.

import { mkdirSync, readdirSync } from 'node:fs'
import { afterAll, afterEach, expect } from 'vitest'

import type { ArtifactStore } from '../../src/artifacts/artifact-store.ts'
import type { startBucket } from './s3-proxy.ts'

/** Returns the list that stores are to be put into. The bucket is as it was before each test, and closed in the end. */
export function useOpenedStores(bucket: Awaited<ReturnType<typeof startBucket>>, scratch: string): ArtifactStore[] {
  const opened: ArtifactStore[] = []
  mkdirSync(scratch)
  afterAll(async () => {
    for (const store of opened) await store.close()
    expect(readdirSync(scratch)).toEqual([])
    await bucket.close()
  })
  afterEach(() => {
    bucket.decide = () => 'pass'
    bucket.isConditional = true
  })
  return opened
}
