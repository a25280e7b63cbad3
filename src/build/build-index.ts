// A build on one page: read -> sample -> train -> assign -> write -> calibrate -> publish. Each stage is made of tasks
// that leave their results in files of the working folder: so memory follows `memoryBytes` and not the data, threads
// share the work, and a build that was killed goes on where it was.

import { loadDriver } from '../catalogue/load-driver.ts'
import { checkBuildOptions, type BuildOptions } from './build-options.ts'
import { readCalibrationQueries } from './calibration-queries.ts'
import { publishStage, type BuildReport, type WrittenBuild } from './publish-stage.ts'
import { readInput } from './read-input.ts'
import { nextStage } from './artifacts.ts'
import { assignStage, trainStage, withCrew, writeStage } from './stages.ts'
import { WorkingFolder } from './working-folder.ts'

/**
 * Builds an index from vectors and publishes it by one rename; nothing is visible at `output` before. Windows cannot
 * replace an index that is open: the build rejects with ZGQ_LOCKED and keeps its work, and the same call resumes it.
 * Rejects with ZGQ_EXISTS, ZGQ_NOT_AN_INDEX, ZGQ_LOCKED, ZGQ_NOT_FOUND, ZGQ_READ_ONLY or ZGQ_IO for the output;
 * ZGQ_BUILD_INPUT, ZGQ_TRUNCATED, ZGQ_DIMENSION, ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR or ZGQ_ID_EXISTS for the input;
 * ZGQ_UNSUPPORTED for a path inside app.asar; TypeError or RangeError for bad options; the signal's reason when
 * aborted. Otherwise a build that rejects leaves nothing, unless it was aborted and `keepWork` is true. A build that
 * was killed leaves its work, and the same call resumes it.
 */
export async function buildIndex(options: BuildOptions): Promise<BuildReport> {
  const plan = checkBuildOptions(options)
  plan.signal?.throwIfAborted()
  loadDriver() // now, not after the work is done
  const folder = WorkingFolder.take(plan.output, plan.force)
  // Work of a build before this one is not thrown away for queries that cannot be read.
  let hasEarlierWork = false
  try {
    const { site, isBegun } = await readInput(plan, folder, { isDurable: false, isShared: false })
    hasEarlierWork = isBegun
    const queries = readCalibrationQueries(plan.queries, site.recipe)
    hasEarlierWork = false
    if (isBegun) plan.onResume(nextStage(site))
    return await build({ plan, folder, site, queries })
  } catch (error) {
    if (hasEarlierWork || (plan.keepWork && plan.signal?.aborted === true)) folder.leave()
    else discardQuietly(folder)
    throw error
  }
}

/** Leaves what cannot be removed to the next build: the error that ended this one says more. */
function discardQuietly(folder: WorkingFolder): void {
  try {
    folder.discard()
  } catch {
    return
  }
}

function build(begun: WrittenBuild): Promise<BuildReport> {
  const { plan, site } = begun
  return withCrew(plan, site, async (work) => {
    await trainStage(site, work)
    await assignStage(site, work)
    await writeStage(site, work)
    return publishStage(begun, work)
  })
}
