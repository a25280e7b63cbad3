// Masks by slot with a table, as the kernel reads them in one call.

import { MASK_OF_NONE } from '../../src/kernels/layouts.ts'
import type { OpenedContext } from '../../src/search/open-context.ts'
import { RowMasks, type Masks } from '../../src/search/row-masks.ts'

/** Masks with a table, of some segments; of some none is left. */
export function tableMasks({ context }: OpenedContext, random: () => number): Masks {
  const { memory, segments } = context.workspace
  const masks = new RowMasks(memory)
  for (const segment of segments) {
    if (random() < 0.3) continue
    const isEmpty = random() < 0.2
    const words = new Uint32Array(Math.ceil(segment.rowCount / 32))
    masks.set(segment, isEmpty ? words : words.map(() => Math.floor(random() * 2 ** 32)))
  }
  const table = memory.allocate(segments.slotCount * 4)
  for (let slot = 0; slot < segments.slotCount; slot++)
    memory.words[table / 4 + slot] = masks.isEmpty(slot) ? MASK_OF_NONE : masks.addressOf(slot)
  return { table, addressOf: (slot) => masks.addressOf(slot), isEmpty: (slot) => masks.isEmpty(slot) }
}
