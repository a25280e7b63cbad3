// The options of `openRemote`, checked and with defaults filled in.

import { describe } from '../describe.ts'
import { checkOptionNames, expectSignal, expectWholeNumber } from '../options.ts'
import type { ByteSource } from './byte-source.ts'
import { httpSource, type HttpSourceOptions } from './http-source.ts'
import type { RangeReaderOptions } from './range-reader.ts'

/** Options of `openRemote`. */
export interface RemoteOptions
  extends HttpSourceOptions, Pick<RangeReaderOptions, 'maxRequests' | 'retries' | 'timeoutMs'> {
  /**
   * Memory for codes and rows that stay in memory between searches, in bytes. Default 64 MB. Decoded ids, fields,
   * places of payloads and rows that filters matched may take up to 5/16 of it in addition, or one of each where that
   * is more. Not counted: the head of the index and its centroids, which are kept as they come; the codes of the
   * largest zone and a part of its rows, for which there is always room; up to 8 MB of pages that lead to ids; and what
   * searches that are under way fetch, 128 MB at a time for all of them, unless one alone takes more.
   */
  readonly cacheBytes?: number | undefined
  /** The model that your queries come from. Rejects with ZGQ_MISMATCH if the index names another model. */
  readonly model?: string | undefined
  /** Ends the opening, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

const MIB = 2 ** 20
const DEFAULT_CACHE_BYTES = 64 * MIB
const MAX_CACHE_BYTES = 3072 * MIB
const NAMES: readonly (keyof RemoteOptions)[] = [
  'cacheBytes',
  'model',
  'signal',
  'maxRequests',
  'retries',
  'timeoutMs',
  'fetch',
  'headers'
]

export interface CheckedRemoteOptions {
  readonly source: ByteSource
  /** A folder of parts, not one file. */
  readonly isFolder: boolean
  readonly cacheBytes: number
  readonly model: string | undefined
  readonly signal: AbortSignal | undefined
  readonly requests: RangeReaderOptions
}

/** Throws TypeError and RangeError. */
export function checkRemoteOptions(from: string | URL | ByteSource, options: RemoteOptions): CheckedRemoteOptions {
  checkOptionNames('openRemote', options, NAMES)
  const { cacheBytes = DEFAULT_CACHE_BYTES, model, signal, fetch, headers, maxRequests, retries, timeoutMs } = options
  expectWholeNumber('cacheBytes', cacheBytes, { least: 0, most: MAX_CACHE_BYTES })
  expectSignal('signal', signal)
  if (model !== undefined && typeof model !== 'string')
    throw new TypeError(`model must be a string, found ${describe(model)}`)
  const source = typeof from === 'string' || from instanceof URL ? httpSource(from, { fetch, headers }) : from
  if (!isSource(source))
    throw new TypeError(`expected an URL, or a source of bytes with a method getBytes, found ${describe(from)}`)
  if (source === from && (fetch !== undefined || headers !== undefined))
    throw new TypeError('fetch and headers are for URLs: a source of bytes makes its own requests')
  const isFolder = source.list !== undefined || source.place?.endsWith('/') === true
  return { source, isFolder, cacheBytes, model, signal, requests: { maxRequests, retries, timeoutMs } }
}

function isSource(value: unknown): value is ByteSource {
  return typeof value === 'object' && value !== null && 'getBytes' in value && typeof value.getBytes === 'function'
}
