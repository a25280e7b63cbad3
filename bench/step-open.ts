// Open to first hit in its own process: modules loaded, files either all in the page cache or none of them.

import { stepInput, stepResult } from './child.ts'
import { loadLazyModules, loadZgq, loadZgqBuild } from './packages.ts'
import { evictFolder, warmFolder } from './page-cache.ts'
import { ownDeviceReads, ownMemory } from './process-memory.ts'

export interface OpenStepInput {
  readonly folder: string
  readonly queries: string
  readonly row: number
  readonly isCold: boolean
}

export interface OpenStepResult {
  readonly openMs: number
  readonly searchMs: number
  readonly zonesProbed: number
  /** Read from the device by open and search. */
  readonly deviceBytes: number
  readonly rssAnonGrown: number
  readonly rssFileGrown: number
}

const input = stepInput<OpenStepInput>()
const { openVectorFile } = await loadZgqBuild()
const { ZgqIndex } = await loadZgq()
loadLazyModules()
const source = openVectorFile(input.queries)
const query = new Float32Array(source.dim)
source.readRows(input.row, query)
source.close()
if (input.isCold) evictFolder(input.folder)
else warmFolder(input.folder)

const before = ownMemory()
const readsBefore = ownDeviceReads()
const startedAt = performance.now()
const index = ZgqIndex.open(input.folder)
const openedAt = performance.now()
index.search(query, { k: 10 })
const foundAt = performance.now()
const after = ownMemory()
const result: OpenStepResult = {
  openMs: openedAt - startedAt,
  searchMs: foundAt - openedAt,
  zonesProbed: index.search(query, { k: 10, explain: true }).explain.zones.length,
  deviceBytes: ownDeviceReads() - readsBefore,
  rssAnonGrown: after.rssAnon - before.rssAnon,
  rssFileGrown: after.rssFile - before.rssFile
}
index.close()
stepResult(result)
