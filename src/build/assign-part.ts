// Assignment of a part of the input: every row is checked, hashed and given its zone, and then written in order of
// zone.

import { createHash } from 'node:crypto'
import { join } from 'node:path'

import { encodeIds } from '../format/columns.ts'
import { countingSort } from '../counting-sort.ts'
import { checkRows, type BroughtFiles, type BuildInput } from './input.ts'
import type { ArtifactFolder } from './artifact-folder.ts'
import { FACTS_NAME } from './artifact-names.ts'
import { writePartOfShard, type SortedRows, type StoredPart } from './parts.ts'
import { encodeArray, writeStored } from './stored-json.ts'
import type { TaskContext } from './task-context.ts'

/** Reports rows that are done; lets the event loop turn where that is needed, and may throw to stop. */
export type OnRows = (rows: number) => Promise<void>

/**
 * Assigns part `part`. Throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR with the row, and what
 * reading the input throws.
 */
export async function assignPart(
  context: TaskContext,
  part: number,
  to: ArtifactFolder & { readonly brought?: BroughtFiles | undefined; readonly onRows: OnRows }
): Promise<void> {
  const { shardStarts } = context.readTraining()
  const { facts, sorted } = await context.withInput(to.brought, (input) =>
    assignRows({ context, input, onRows: to.onRows }, part)
  )
  for (let shard = 0; shard + 1 < shardStarts.length; shard++) {
    const zones = { firstZone: shardStarts[shard], endZone: shardStarts[shard + 1] }
    writePartOfShard(to, { number: shard, ...zones }, sorted)
  }
  writeStored(join(to.folder, FACTS_NAME), facts, to.isDurable)
}

async function assignRows(
  { context, input, onRows }: { readonly context: TaskContext; readonly input: BuildInput; readonly onRows: OnRows },
  part: number
): Promise<{ facts: StoredPart; sorted: SortedRows }> {
  const { recipe } = context.site
  const { dim, metric, rowsPerBlock } = recipe
  const assigner = context.openTrainedAssigner()
  const firstRow = part * recipe.rowsPerPart
  const count = Math.min(recipe.rowsPerPart, recipe.count - firstRow)
  const rows = context.reservePartRows().subarray(0, count * dim)
  const ids = new Float64Array(count)
  const zones = new Uint32Array(count)
  const vectorDigests: Uint8Array[] = []
  const idDigests: Uint8Array[] = []
  for (let first = 0; first < count; first += rowsPerBlock) {
    const some = Math.min(rowsPerBlock, count - first)
    const block = rows.subarray(first * dim, (first + some) * dim)
    const blockIds = ids.subarray(first, first + some)
    input.rows.readRows(firstRow + first, block)
    input.ids.readIds(firstRow + first, blockIds)
    checkRows(block, firstRow + first, { dim, metric, label: recipe.label })
    vectorDigests.push(digest(new Uint8Array(block.buffer, block.byteOffset, block.byteLength)))
    idDigests.push(digest(encodeIds(blockIds)))
    assigner.rowsView(some).set(block)
    assigner.scale(some)
    assigner.centre(some)
    zones.set(assigner.nearest(some), first)
    await onRows(some)
  }
  const { order, starts } = countingSort(zones, recipe.zones)
  const zoneRows = new Uint32Array(recipe.zones).map((_, zone) => starts[zone + 1] - starts[zone])
  const facts = {
    zoneRows: encodeArray(zoneRows),
    vectorDigests: Buffer.concat(vectorDigests).toString('base64'),
    idDigests: Buffer.concat(idDigests).toString('base64')
  }
  return { facts, sorted: { rows, ids, order, starts } }
}

function digest(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}
