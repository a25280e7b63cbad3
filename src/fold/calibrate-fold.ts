// Measures anew how far searches must probe, where a fold has changed enough: on the zones as they will be, before they
// are published, so that no reader sees zones with another's calibration.

import { setImmediate } from 'node:timers/promises'

import { calibrate } from '../build/calibrate.ts'
import { runStep } from '../build/calibration-steps.ts'
import { withoutDeltas } from '../build/built-rows.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { openContext } from '../search/open-context.ts'
import type { Calibration } from '../types.ts'
import type { FoldTell } from './fold-messages.ts'
import { asSnapshot, type FoldedIndex } from './folded-index.ts'

const CACHE_BYTES = 64 * 2 ** 20
const SEED = 1
/** Part of the rows that may have changed since the last time. */
const CHANGED_PART = 0.2

export function isCalibrationDue(
  { calibration, meta }: Snapshot,
  of: { readonly rowsSinceCalibration: number; readonly isAnew: boolean }
): boolean {
  return of.isAnew || calibration === null || of.rowsSinceCalibration > meta.count * CHANGED_PART
}

/** Calibrates the built zones that a step leaves. Throws as reads do, and what `tell` throws. */
export async function calibrateFold(
  snapshot: Snapshot,
  of: { readonly folded: FoldedIndex; readonly generation: number },
  tell: FoldTell
): Promise<Calibration> {
  const after = withoutDeltas(asSnapshot(snapshot, of.folded, of.generation))
  const opened = openContext(after, { mapping: 'pread', cacheBytes: CACHE_BYTES, verify: 'touch' })
  const turn = async (): Promise<void> => {
    await setImmediate()
    tell.check()
  }
  try {
    return await calibrate(
      opened.snapshot,
      async (steps, onAnswer) => {
        for (const [i, step] of steps.entries()) onAnswer(await runStep(opened, step, turn), i)
      },
      {
        given: undefined,
        seed: SEED,
        onQueries(done, total) {
          tell.note({ stage: 'calibrate', done, total })
        }
      }
    )
  } finally {
    opened.readers.close()
  }
}
