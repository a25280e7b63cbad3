// Packs an index for reading from a web server, an object store, or a single file.

import { dirname, resolve } from 'node:path'

import { expectPath } from '../arguments.ts'
import { hex } from '../format/header.ts'
import { checkOptionNames, expectFlag, expectFunction, expectOneOf, expectSignal } from '../options.ts'
import { folderStore } from './folder-store.ts'
import { withPackPlan } from './pack-plan.ts'
import { publishPlan } from './publish-plan.ts'
import type { PackProgress } from './steady-index.ts'
import { expectFree, writePackedFile } from './write-file.ts'

/** Options of `packIndex`. */
export interface PackOptions {
  /** The folder of the index: a path or a `file:` URL. It is not changed. */
  readonly index: string | URL
  /** The file to make, or the folder: a path or a `file:` URL. */
  readonly output: string | URL
  /**
   * 'file' (default): one file. 'folder': a file for each part, and a manifest that names them; packing into the same
   * folder again adds a manifest with the next number, and only the parts that are new.
   */
  readonly layout?: 'file' | 'folder' | undefined
  /** Replace a file at `output`. Default: false. */
  readonly force?: boolean | undefined
  /** Called with the progress of each stage. If it throws, packing rejects with that. */
  readonly onProgress?: ((progress: PackProgress) => void) | undefined
  /** Stops packing, which then rejects with the signal's reason and leaves no file. */
  readonly signal?: AbortSignal | undefined
}

/** The report of `packIndex`. */
export interface PackReport {
  readonly path: string
  /** Rows of the index. */
  readonly rows: number
  /** Of the packed index. */
  readonly bytes: number
  /** Bytes that were written: fewer where parts were there already. */
  readonly bytesWritten: number
  /** SHA-256 in hex of all that it says: equal for equal indexes, whatever the layout. */
  readonly digest: string
  /** Number of the manifest, in a folder. */
  readonly manifest: number | null
}

/**
 * Packs an index, so that any server of static files can be searched (`openRemote` of `zgq/remote`). The same index
 * gives the same bytes. An index that was changed is folded first, in a private copy beside the output. Rejects with
 * ZGQ_EXISTS for a file at `output`; ZGQ_NOT_FOUND, ZGQ_NOT_AN_INDEX, ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED,
 * ZGQ_LOCKED, ZGQ_READ_ONLY or ZGQ_IO; with the reason of `signal`; TypeError for options.
 */
export async function packIndex(options: PackOptions): Promise<PackReport> {
  checkOptionNames('packIndex', options, ['index', 'output', 'layout', 'force', 'onProgress', 'signal'])
  const { layout = 'file', force = false, onProgress = () => undefined, signal } = options
  const index = resolve(expectPath('index', options.index))
  const output = resolve(expectPath('output', options.output))
  expectOneOf('layout', layout, ['file', 'folder'])
  expectFlag('force', force)
  expectFunction('onProgress', onProgress)
  expectSignal('signal', signal)
  const write = { force, onProgress, signal }
  if (layout === 'file') expectFree(output, write)
  return await withPackPlan(index, { layout, temporary: dirname(output), onProgress, signal }, async (plan) => {
    const report = { path: output, rows: plan.rows, bytes: plan.byteLength, digest: hex(plan.digest) }
    if (layout === 'folder') {
      const { manifest, bytes: bytesWritten } = await publishPlan(plan, folderStore(output), {
        ...write,
        stage: 'pack'
      })
      return { ...report, manifest, bytesWritten }
    }
    await writePackedFile(output, plan, write)
    return { ...report, bytesWritten: plan.byteLength, manifest: null }
  })
}
