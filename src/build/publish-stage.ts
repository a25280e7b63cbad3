// The last stage: what was written becomes an index, is calibrated, and is put into its place by one rename.

import { statSync } from 'node:fs'

import { wrapReadError } from '../errors.ts'
import { writeCalibration } from '../catalogue/writer.ts'
import type { Metric } from '../types.ts'
import type { BuildPlan } from './build-options.ts'
import { calibrateSite } from './calibrate-site.ts'
import { JOINED_NAME, RECIPE_NAME, type Site, type StoredIndex } from './site.ts'
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
}

/** A build whose shards are all written. */
export interface WrittenBuild {
  readonly plan: BuildPlan
  readonly folder: WorkingFolder
  readonly site: Site
}

/** Joins, calibrates and publishes; the crew is closed on the way. */
export async function publishStage(build: WrittenBuild, { crew, tell }: StageWork): Promise<BuildReport> {
  const { plan, folder, site } = build
  const joined = joinStage(site)
  const calibration = await calibrateSite(site, crew, {
    queries: plan.queries,
    onQueries: (done, total) => {
      tell.note('calibrate', done, total)
    }
  })
  writeCalibration(site.path, calibration)
  await tell.now('publish', 0, 1)
  await crew.close() // it has files open
  const report = describe(build, joined)
  folder.expectPublishable()
  folder.clear((name) => [...joined.files, RECIPE_NAME, JOINED_NAME].includes(name))
  folder.publish()
  plan.onProgress({ stage: 'publish', done: 1, total: 1 })
  return report
}

function describe(build: WrittenBuild, joined: StoredIndex): BuildReport {
  const { plan, folder, site } = build
  const { count, dim, metric, bits } = site.recipe
  try {
    const bytes = joined.files.reduce((sum, name) => sum + statSync(folder.file(name)).size, 0)
    return { path: plan.output, count, dim, metric, zones: joined.zones, bits, bytes, indexId: joined.indexId }
  } catch (error) {
    throw wrapReadError(error, folder.path, 'look at the files of the index')
  }
}
