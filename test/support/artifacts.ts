// Artifacts of a build by the begin of their names: what follows is a hash.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Path of an artifact in a working folder, such as `part-00001`; one that is not there where it is not. */
export function artifactIn(folder: string, begin: string): string {
  const name = readdirSync(folder).find((found) => new RegExp(`^${begin}-[0-9a-f]{16}$`).test(found))
  return join(folder, name ?? `no ${begin}`)
}

/** Path of the facts of the trained zones. */
export function trainedFactsIn(folder: string): string {
  return join(artifactIn(folder, 'trained'), 'facts.json')
}

/** Changes the plan of the shards: a small input would give one shard. */
export function cutShards(folder: string, shardStarts: readonly number[]): void {
  const path = trainedFactsIn(folder)
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), shardStarts }))
}

/** Begins of the names in a folder, without hashes. */
export function artifactNames(folder: string): string[] {
  return readdirSync(folder).map((name) => name.replace(/-[0-9a-f]{16}$/, ''))
}
