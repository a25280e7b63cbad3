// The last stage: what was written becomes an index, is calibrated, and is put into its place by one rename.

import { statSync } from 'node:fs'

import { wrapReadError } from '../errors.ts'
import { readCatalogue } from '../catalogue/reader.ts'
import { writeCalibration } from '../catalogue/writer.ts'
import { findDoubts } from '../search/doubts.ts'
import { describePlan, requestedIndex } from '../search/request.ts'
import { isAlwaysExact } from '../search/strategy.ts'
import type { Metric } from '../types.ts'
import type { BuildPlan } from './build-options.ts'
import { calibrateSite } from './calibrate-site.ts'
import type { NeighbourScan } from './calibration-neighbours.ts'
import { isJoined, JOINED_NAME, RECIPE_NAME, type Site, type StoredIndex } from './site.ts'
import { joinStage, type StageWork } from './stages.ts'
import type { WorkingFolder } from './working-folder.ts'

/** A published index. */
export interface BuildReport {
  readonly path: string
  readonly count: number
  readonly dim: number
  readonly metric: Metric
  readonly zones: number
  readonly bits: number
  /** Length of all files of the index. */
  readonly bytes: number
  /** 32 hex digits. */
  readonly indexId: string
  /** Reasons why the recall may be lower than promised, as in `info().warnings`. */
  readonly warnings: readonly string[]
}

/** A build whose shards are to be written when it is published. */
export interface WrittenBuild {
  readonly plan: BuildPlan
  readonly folder: WorkingFolder
  readonly site: Site
  /** To calibrate with, as `readCalibrationQueries` gave them. */
  readonly queries: Float32Array | undefined
  /** Scans rows for a calibration elsewhere; undefined: the crew does. */
  readonly scan?: NeighbourScan | undefined
}

/** Joins, calibrates and publishes; the crew is closed on the way. */
export async function publishStage(build: WrittenBuild, work: StageWork): Promise<BuildReport> {
  const { crew, tell } = work
  const { plan, folder, site, queries, scan } = build
  const isBegun = isJoined(site)
  const joined = await joinStage(site, work)
  if (plan.calibrate && (queries !== undefined || !isAlwaysExact(site.recipe))) {
    const snapshot = readCatalogue(site.path)
    const calibration = await calibrateSite(snapshot, crew, {
      queries,
      scan,
      seed: site.recipe.seed,
      onQueries: (done, total) => {
        tell.note('calibrate', done, total)
      }
    })
    writeCalibration({ folder: site.path, isPublished: false }, calibration)
  } else if (isBegun) {
    // A build that was told otherwise may have died storing one.
    writeCalibration({ folder: site.path, isPublished: false }, null)
  }
  await tell.now('publish', 0, 1)
  await crew.close() // it has files open
  const report = describe(build, joined)
  folder.expectPublishable()
  folder.clear((name) => [...joined.files, RECIPE_NAME, JOINED_NAME].includes(name))
  folder.publish()
  plan.onProgress({ stage: 'publish', done: 1, total: 1 })
  return report
}

function doubtsOf(site: Site): string[] {
  const snapshot = readCatalogue(site.path)
  const plan = describePlan(requestedIndex(snapshot))
  return findDoubts({ ...snapshot, plan, queries: { byRecall: 0, unlike: 0 } })
}

function describe(build: WrittenBuild, joined: StoredIndex): BuildReport {
  const { plan, folder, site } = build
  const { count, dim, metric, bits } = site.recipe
  try {
    const bytes = joined.files.reduce((sum, name) => sum + statSync(folder.file(name)).size, 0)
    const { indexId, zones } = joined
    return { path: plan.output, count, dim, metric, zones, bits, bytes, indexId, warnings: doubtsOf(site) }
  } catch (error) {
    throw wrapReadError(error, folder.path, 'look at the files of the index')
  }
}
