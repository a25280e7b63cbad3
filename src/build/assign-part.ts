// Assignment of a part of the input: every row is checked, hashed and given its zone, and then written in order of
// zone.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { encodeIds } from '../format/columns.ts'
import { countingSort } from '../counting-sort.ts'
import { checkRows } from './input.ts'
import { PART_FACTS, writePartOfShard, type SortedRows, type StoredPart } from './parts.ts'
import { partPath, type Site } from './site.ts'
import { encodeArray, writeStored } from './stored-json.ts'
import { fillFolder } from './temporary-folder.ts'
import type { TaskContext } from './task-context.ts'

/** Reports rows that are done; lets the event loop turn where that is needed, and may throw to stop. */
export type OnRows = (rows: number) => Promise<void>

/** Tells whether a part was assigned already. */
export function isAssigned(site: Site, part: number): boolean {
  return existsSync(partPath(site, part))
}

/**
 * Assigns part `part` and leaves it in its folder. Throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR with the row, and what
 * reading the input throws.
 */
export async function assignPart(context: TaskContext, part: number, onRows: OnRows): Promise<void> {
  const { site } = context
  const { shardStarts } = context.readTraining()
  await fillFolder(partPath(site, part), async (folder) => {
    const { facts, sorted } = await assignRows(context, part, onRows)
    for (let shard = 0; shard + 1 < shardStarts.length; shard++) {
      writePartOfShard(
        { folder, isDurable: site.recipe.isDurable },
        { number: shard, firstZone: shardStarts[shard], endZone: shardStarts[shard + 1] },
        sorted
      )
    }
    writeStored(join(folder, PART_FACTS), facts, site.recipe.isDurable)
  })
}

async function assignRows(
  context: TaskContext,
  part: number,
  onRows: OnRows
): Promise<{ facts: StoredPart; sorted: SortedRows }> {
  const { recipe } = context.site
  const { dim, metric, rowsPerBlock } = recipe
  const input = context.openInput()
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
    checkRows(block, firstRow + first, { dim, metric, label: input.rows.label })
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
