// The options of `ZgqIndex.open`, checked and with defaults filled in.

import { availableParallelism } from 'node:os'

import { describe } from './describe.ts'
import { ZgqError } from './errors.ts'
import { checkOptionNames, expectFlag, expectOneOf, expectWholeNumber } from './options.ts'
import type { Mapping, OpenMode, OpenOptions, Verify } from './types.ts'

const MIB = 2 ** 20
const DEFAULT_CACHE_BYTES = 256 * MIB
/** Leaves room for centroids and heaps below the 4 GiB of wasm32. */
const MAX_CACHE_BYTES = 3072 * MIB

const MOST_THREADS = 64
/** Beside the caller's thread, which has a core. More of them share the same memory bandwidth. */
const DEFAULT_MOST_THREADS = 8
const DEFAULT_LOCK_TIMEOUT_MS = 5000
const MOST_LOCK_TIMEOUT_MS = 2 ** 31 - 1

/** How a writer works. */
export interface WriteOptions {
  readonly durability: 'full' | 'batch'
  readonly lockTimeoutMs: number
  readonly allowNetworkFileSystem: boolean
}

/** The options of `open`, none of which is undefined. */
export interface CheckedOptions extends WriteOptions {
  readonly mode: OpenMode
  readonly mapping: Mapping
  readonly cacheBytes: number
  readonly verify: Verify
  readonly threads: number
  readonly autoOptimize: boolean
}

/** Of an index that is opened, or made. */
export const SHARED_NAMES: readonly (keyof OpenOptions)[] = [
  'mapping',
  'cacheBytes',
  'verify',
  'threads',
  'model',
  'durability',
  'lockTimeoutMs',
  'allowNetworkFileSystem',
  'autoOptimize'
]

/** Throws TypeError and RangeError. */
export function checkOpenOptions(
  options: OpenOptions,
  what = 'open',
  names: readonly string[] = ['mode', ...SHARED_NAMES]
): CheckedOptions {
  checkOptionNames(what, options, names)
  const {
    mode = 'read',
    mapping = 'auto',
    cacheBytes = DEFAULT_CACHE_BYTES,
    verify = 'touch',
    threads = Math.min(Math.max(1, availableParallelism() - 1), DEFAULT_MOST_THREADS),
    durability = 'full',
    lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS,
    allowNetworkFileSystem = false,
    autoOptimize = true
  } = options
  expectOneOf('mode', mode, ['read', 'write'])
  expectOneOf('mapping', mapping, ['auto', 'mmap', 'mmap-io', 'pread'])
  expectOneOf('verify', verify, ['touch', 'open', 'none'])
  expectOneOf('durability', durability, ['full', 'batch'])
  expectWholeNumber('cacheBytes', cacheBytes, { least: 0, most: MAX_CACHE_BYTES })
  expectWholeNumber('threads', threads, { least: 0, most: MOST_THREADS })
  expectWholeNumber('lockTimeoutMs', lockTimeoutMs, { least: 0, most: MOST_LOCK_TIMEOUT_MS })
  expectFlag('allowNetworkFileSystem', allowNetworkFileSystem)
  expectFlag('autoOptimize', autoOptimize)
  return { mode, mapping, cacheBytes, verify, threads, durability, lockTimeoutMs, allowNetworkFileSystem, autoOptimize }
}

/**
 * Throws ZGQ_MISMATCH where queries or rows come from another model than the vectors, or for writing if none is named
 * where the index has one.
 */
export function expectModel(
  of: { readonly model: string | undefined; readonly folder: string },
  options: OpenOptions
): void {
  const { model, mode } = options
  if (model !== undefined && typeof model !== 'string')
    throw new TypeError(`model must be a string, found ${describe(model)}`)
  if (of.model === undefined || of.model === model) return
  const path = of.folder
  if (model !== undefined)
    throw new ZgqError(
      'ZGQ_MISMATCH',
      `the vectors are of model ${describe(of.model)}, the queries of model ${describe(model)}: they cannot be ` +
        'compared',
      { path }
    )
  if (mode === 'write')
    throw new ZgqError(
      'ZGQ_MISMATCH',
      `the vectors are of model ${describe(of.model)}: name the model of the rows that you write, as in ` +
        `open(path, { mode: 'write', model: ${describe(of.model)} })`,
      { path }
    )
}
