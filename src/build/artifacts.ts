// The artifacts of a site: folders that tasks left, found by the names of what they are made from.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { removeTemporary } from '../storage/file-writer.ts'
import { FACTS_NAME, namesOf, outputOf, partFileName, type ArtifactTask } from './artifact-names.ts'
import { planSample, roundCount } from './sample-blocks.ts'
import { isJoined, partCount, type Site, type StoredAssignment, type StoredTraining } from './site.ts'
import { readStored, removeQuietly } from './stored-json.ts'

/** Folder of an assigned part of the input. */
export function partPath(site: Site, part: number): string {
  return join(site.path, namesOf(site.recipe).part(part))
}

/** Folder of a written shard. */
export function shardPath(site: Site, shard: number): string {
  return join(site.path, namesOf(site.recipe).shard(shard))
}

/** Tells whether a task is done: its artifact appears whole or not at all. */
export function isDone(site: Site, task: ArtifactTask): boolean {
  return existsSync(join(site.path, outputOf(site.recipe, task)))
}

/** Tells whether the zones are trained. */
export function isTrained(site: Site): boolean {
  return isDone(site, { kind: 'order' })
}

/** Reads the trained zones; throws ZGQ_NOT_FOUND where there are none. */
export function readTraining(site: Site): StoredTraining {
  return readStored<StoredTraining>(join(site.path, namesOf(site.recipe).trained, FACTS_NAME))
}

/** Reads the rows of each zone over all parts; throws ZGQ_NOT_FOUND where parts are not counted. */
export function readAssignment(site: Site): StoredAssignment {
  return readStored<StoredAssignment>(join(site.path, namesOf(site.recipe).assigned, FACTS_NAME))
}

/** Names the first stage that is not done, as far as that shows at a glance. */
export function nextStage(site: Site): 'sample' | 'assign' | 'write' | 'calibrate' {
  if (isJoined(site)) return 'calibrate'
  if (!isTrained(site)) return 'sample'
  return isDone(site, { kind: 'tally' }) ? 'write' : 'assign'
}

/** Gives up what a round began with, and what its blocks left. */
export function discardRound(site: Site, round: number): void {
  const names = namesOf(site.recipe)
  discard(site, names.round(round))
  for (let block = 0; block < planSample(site.recipe).blocks; block++) discard(site, names.partial(round, block))
}

/** Gives up all that training needed, once the zones are trained. */
export function discardTraining(site: Site): void {
  const names = namesOf(site.recipe)
  const rounds = roundCount(site.recipe)
  for (let round = 0; round < rounds; round++) discardRound(site, round)
  for (const name of [names.round(rounds), names.uniqueIds]) discard(site, name)
  for (let block = 0; block < planSample(site.recipe).blocks; block++) discard(site, names.sample(block))
}

/** What cannot be removed goes when the index is published. */
function discard(site: Site, name: string): void {
  removeQuietly(join(site.path, name))
}

/**
 * Gives up a shard's files of all parts, once the shard is written: the disk then holds the data little more than once.
 */
export function discardPartsOfShard(site: Site, shard: number): void {
  for (let part = 0; part < partCount(site.recipe); part++)
    removeTemporary(join(partPath(site, part), partFileName(shard)))
}
