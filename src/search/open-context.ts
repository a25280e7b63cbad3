// Opens what a search works with: readers over the data files, kernel memory, caches.

import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { CodesCache } from '../cache/codes-cache.ts'
import { checkHeaders, findDataFiles } from '../storage/data-files.ts'
import { openReaders, type Readers } from '../storage/open-readers.ts'
import { RowCache } from '../cache/row-cache.ts'
import { verifyZone } from '../storage/verify-zone.ts'
import { ZoneFiles } from '../storage/zone-files.ts'
import type { Mapping, Verify } from '../types.ts'
import { CentroidCodes } from './centroid-codes.ts'
import { CodeWorkspace } from './code-workspace.ts'
import type { CodesContext, SearchContext } from './search.ts'
import { mayScanRows } from './strategy.ts'
import { Workspace } from './workspace.ts'

/** Options of `ZgqIndex.open` with defaults filled in. */
export interface CheckedOpenOptions {
  readonly mapping: Mapping
  readonly cacheBytes: number
  readonly verify: Verify
}

export interface OpenedContext {
  readonly readers: Readers
  readonly context: SearchContext
}

/** Share of the cache that codes may take. */
const CODES_SHARE = 0.75
/** From so many zones on the probe looks at codes of the centroids first (bench/README.md, "Probe"). */
export const CODED_PROBE_ZONES = 256

/** Opens the files of a snapshot; throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_MISMATCH, ZGQ_UNSUPPORTED or ZGQ_IO. */
export function openContext(snapshot: Snapshot, options: CheckedOpenOptions): OpenedContext {
  const files = findDataFiles(snapshot)
  const readers = openReaders(snapshot.folder, files, options.mapping)
  try {
    checkHeaders(snapshot, files, readers.fresh)
    const zoneFiles = new ZoneFiles(snapshot, readers, {
      verify: options.verify,
      paths: files.map((file) => file.path)
    })
    if (options.verify === 'open') for (const zone of snapshot.zones) verifyZone(zone, zoneFiles, snapshot)
    const memory = new KernelMemory(loadKernel())
    const workspace = new Workspace(snapshot, memory)
    const codes = openCodes(snapshot, zoneFiles, { workspace, cacheBytes: options.cacheBytes })
    // What the codes leave: rows are cached for exact searches, and where there are few.
    const cache = new RowCache(snapshot, zoneFiles, {
      memory,
      cacheBytes: options.cacheBytes - (codes?.cache.capacity ?? 0)
    })
    return { readers, context: { workspace, cache, files: zoneFiles, codes } }
  } catch (error) {
    readers.close()
    throw error
  }
}

function openCodes(
  snapshot: Snapshot,
  files: ZoneFiles,
  place: { workspace: Workspace; cacheBytes: number }
): CodesContext | undefined {
  if (snapshot.quantizer === undefined || !fitsMemory(snapshot, place.cacheBytes)) return undefined
  const { memory } = place.workspace
  const cache = new CodesCache(snapshot, files, { memory, cacheBytes: place.cacheBytes * CODES_SHARE })
  const centroids = snapshot.zones.length >= CODED_PROBE_ZONES ? CentroidCodes.create(memory, snapshot) : undefined
  return {
    cache,
    centroids,
    mayScanRows: mayScanRows(snapshot.meta),
    workspace: new CodeWorkspace(snapshot, snapshot.quantizer, { workspace: place.workspace, zones: cache.table })
  }
}

/** The codes of a zone lie in memory whole. Where one claims more than this, rows are scanned in the place of codes. */
const MOST_CODES_BYTES = 256 * 2 ** 20

function fitsMemory({ zones }: Snapshot, cacheBytes: number): boolean {
  return zones.every((zone) => zone.codesByteLength <= Math.max(cacheBytes, MOST_CODES_BYTES))
}
