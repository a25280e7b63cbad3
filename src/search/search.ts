// The pipeline of a search on one page: probe -> prefetch -> scan. The stages are pure; only this driver does I/O,
// so that an asynchronous driver can run the same stages. Codes will add a rerank after the scan.

import { nowMicros } from '../clock.ts'
import { pageCount } from '../format/layout.ts'
import type { ZoneCache } from '../storage/zone-cache.ts'
import type { ZoneFiles } from '../storage/zone-files.ts'
import type { ExplainedHits } from '../types.ts'
import { probe } from './probe.ts'
import { Prefetcher } from './prefetcher.ts'
import type { SearchRequest } from './request.ts'
import { setTolerance, takeHits } from './scan.ts'
import type { Workspace } from './workspace.ts'

/** Where the zones of an open index come from. */
export interface SearchContext {
  readonly workspace: Workspace
  readonly cache: ZoneCache
  readonly files: ZoneFiles
}

/** Searches with a checked query and request. */
export function search(context: SearchContext, query: Float32Array, request: SearchRequest): ExplainedHits {
  const { workspace, cache, files } = context
  const { kernel } = workspace.memory
  const startedAt = nowMicros()
  files.resetCounters()
  // Nobody asked for hits: there is nothing to probe, and a heap holds at least one.
  const wantsHits = request.k > 0
  workspace.setQuery(query)
  if (wantsHits) workspace.startHits(request.k)
  const zones = wantsHits ? probe(workspace, request.nprobe) : []
  const probedAt = nowMicros()

  const ahead = new Prefetcher(zones.filter((zone) => !cache.holds(zone)), files)
  let vectorsScanned = 0
  let bytes = 0
  let pages = 0
  let rowsConfirmed = 0
  for (const zone of zones) {
    ahead.reach(zone)
    setTolerance(workspace, zone)
    for (let part = 0; part < cache.partCount(zone); part++) {
      rowsConfirmed += kernel.scan(workspace.scanQuery, cache.load(zone, part))
    }
    const segmentBytes = files.segmentBytes(zone)
    vectorsScanned += zone.rowCount
    bytes += segmentBytes + zone.columnsByteLength
    pages += pageCount(segmentBytes) + pageCount(zone.columnsByteLength)
  }
  const hits = wantsHits ? takeHits(workspace, request.k) : []
  return {
    hits,
    explain: {
      zones: zones.map((zone) => zone.zone),
      vectorsScanned,
      rowsReranked: 0,
      rowsConfirmed,
      bytes,
      pages,
      ...files.counters,
      ioRounds: ahead.rounds,
      probeMicros: probedAt - startedAt,
      scanMicros: nowMicros() - probedAt,
      rerankMicros: 0
    }
  }
}
