// The scan of a calibration by workers: each holds the queries against the rows of a shard.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { namesOf, NEIGHBOURS_NAME, outputOf, QUERIES_NAME, type ArtifactTask } from '../build/artifact-names.ts'
import { readTraining } from '../build/artifacts.ts'
import type { Neighbours } from '../build/calibration-lists.ts'
import type { NeighbourScan } from '../build/calibration-neighbours.ts'
import { mergeNeighbours } from '../build/calibration-lists.ts'
import { writeBytes } from '../build/raw-arrays.ts'
import type { Site } from '../build/site.ts'
import { decodeNeighbours } from '../build/stored-neighbours.ts'
import { fillFolder } from '../build/temporary-folder.ts'
import { wrapReadError } from '../errors.ts'
import { ensure, type QueueWork } from './queue-stages.ts'

/** Returns what finds neighbours among the shards of a build. */
export function scanByWorkers(work: QueueWork, site: Site): NeighbourScan {
  const { shardStarts } = readTraining(site)
  return async (vectors, k) => {
    const { store, recipe, signal } = work
    const bytes = joinBytes(vectors)
    const queries = namesOf(recipe).queries(bytes)
    if (!(await store.has(queries, signal))) {
      await fillFolder(join(store.path, queries), (folder) => {
        writeBytes({ folder, isDurable: false }, QUERIES_NAME, bytes)
        return Promise.resolve()
      })
      await store.write(queries, signal)
    }
    const tasks = shardStarts.slice(1).map((_, shard): ArtifactTask => ({ kind: 'scan', shard, queries, k }))
    await ensure(work, { stage: 'calibrate', tasks, rowsOf: () => 1, shownAs: vectors.length })
    let found: Neighbours[] = []
    for (const task of tasks) {
      const more = await readNeighbours(work, outputOf(recipe, task))
      found = found.length === 0 ? more : mergeNeighbours([found, more], k)
    }
    return found
  }
}

async function readNeighbours({ store, signal }: QueueWork, name: string): Promise<Neighbours[]> {
  await store.read(name, undefined, signal)
  const path = join(store.path, name, NEIGHBOURS_NAME)
  try {
    return decodeNeighbours(await readFile(path), path)
  } catch (error) {
    throw wrapReadError(error, path, 'read the neighbours that a worker found')
  } finally {
    store.release(name)
  }
}

function joinBytes(vectors: readonly Float32Array[]): Uint8Array {
  return Buffer.concat(
    vectors.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength))
  )
}
