// Joins the facts of all assigned parts: the rows of each zone, and the digest of the input, which names the index.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { ZgqError } from '../errors.ts'
import { PART_FACTS, type StoredPart } from './parts.ts'
import { assignedPath, partCount, partPath, type Recipe, type Site, type StoredAssignment } from './site.ts'
import { decodeBytes, decodeWords, encodeArray, readStored, writeStored } from './stored-json.ts'

/** Joins the parts once all are there; throws ZGQ_NOT_FOUND where some are missing. */
export function joinParts(site: Site): void {
  if (existsSync(assignedPath(site))) return
  const { recipe } = site
  const parts = partCount(recipe)
  const missing = Array.from({ length: parts }, (_, part) => part).filter((part) => !existsSync(partPath(site, part)))
  if (missing.length > 0) {
    throw new ZgqError(
      'ZGQ_NOT_FOUND',
      `${missing.length} of the ${parts} parts of the input are not assigned yet: finish the stage assign in all ` +
        'processes first',
      { path: site.path }
    )
  }
  const zoneRows = new Uint32Array(recipe.zones)
  const vectorHash = createHash('sha256')
  const idHash = createHash('sha256')
  for (let part = 0; part < parts; part++) {
    const facts = readStored<StoredPart>(join(partPath(site, part), PART_FACTS))
    const rows = decodeWords(facts.zoneRows)
    for (let zone = 0; zone < zoneRows.length; zone++) zoneRows[zone] += rows[zone]
    vectorHash.update(decodeBytes(facts.vectorDigests))
    idHash.update(decodeBytes(facts.idDigests))
  }
  const dimBytes = new Uint8Array(8)
  new DataView(dimBytes.buffer).setUint32(0, recipe.dim, true)
  const hash = createHash('sha256').update(dimBytes).update(vectorHash.digest()).update(idHash.digest())
  if (recipe.documents !== null) hash.update(Buffer.from(recipe.documents.digest, 'hex'))
  const inputDigest = hash.digest('hex')
  const assignment: StoredAssignment = { zoneRows: encodeArray(zoneRows), inputDigest }
  writeStored(assignedPath(site), assignment, recipe.isDurable)
}

/** Names the index by what it is made of (spec, section 7.4). */
export function indexIdOf(recipe: Recipe, inputDigest: string): Uint8Array {
  const options = JSON.stringify({
    metric: recipe.metric,
    zones: recipe.zonesAsked,
    bits: recipe.bits,
    seed: recipe.seed
  })
  const hash = createHash('sha256')
    .update('zgq index\0')
    .update(Buffer.from(inputDigest, 'hex'))
    .update(options)
    .digest()
  return Uint8Array.from(hash.subarray(0, 16))
}
