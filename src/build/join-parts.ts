// Joins the facts of all assigned parts: the rows of each zone, and the digest of the input, which names the index.

import { createHash } from 'node:crypto'
import { join } from 'node:path'

import type { ArtifactFolder } from './artifact-folder.ts'
import { FACTS_NAME } from './artifact-names.ts'
import { partPath } from './artifacts.ts'
import type { StoredPart } from './parts.ts'
import { partCount, type Recipe, type Site, type StoredAssignment } from './site.ts'
import { decodeBytes, decodeWords, encodeArray, readStored, writeStored } from './stored-json.ts'

/** Joins the parts, all of which must be there. */
export function joinParts(site: Site, { folder, isDurable }: ArtifactFolder): void {
  const { recipe } = site
  const zoneRows = new Uint32Array(recipe.zones)
  const vectorHash = createHash('sha256')
  const idHash = createHash('sha256')
  for (let part = 0; part < partCount(recipe); part++) {
    const facts = readStored<StoredPart>(join(partPath(site, part), FACTS_NAME))
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
  writeStored(join(folder, FACTS_NAME), assignment, isDurable)
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
