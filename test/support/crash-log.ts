// Programs that run under test/crash-shim/log-calls.c, and the log of their calls. What a crash makes of such a log is
// in crash-images.ts.

import { existsSync, readFileSync } from 'node:fs'

import { compileShared } from './electron-shim.ts'
import type { TempFolder } from './temp-folder.ts'

/** Kinds of records, by their number in the log less 1. */
const KINDS = ['mark', 'open', 'write', 'truncate', 'sync', 'rename', 'remove', 'make-folder', 'link'] as const

/** A call that changed files below the folder, or made changes durable; or a mark of the program. */
export interface LoggedCall {
  readonly kind: (typeof KINDS)[number]
  readonly process: number
  readonly thread: number
  /** Tells files apart, also after they were renamed or removed; a new file may get the number of a removed one. */
  readonly inode: number
  /** Relative to the folder; '' is the folder itself. A removed file that is still open ends by ' (deleted)'. */
  readonly path: string
  /** The new name, of a rename or a link. */
  readonly second: string
  /** Where a write began; the size that a file was cut to. */
  readonly offset: number
  /** What was written; the text of a mark. */
  readonly payload: Uint8Array
  /** An open made the file. */
  readonly isNew: boolean
  /** An open cut the file to nothing. */
  readonly isCut: boolean
}

const MAGIC = 0x474f4c5a
const HEAD_BYTES = 48
const IS_NEW = 1
const IS_CUT = 2

/** Reads a log; a last record that is not whole (its process was killed) is left out. */
export function readCallLog(path: string): LoggedCall[] {
  const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0)
  const calls: LoggedCall[] = []
  for (let at = 0; at + HEAD_BYTES <= bytes.byteLength;) {
    if (bytes.readUInt32LE(at) !== MAGIC) throw new Error(`no record begins at ${at} of ${path}`)
    const offset = Number(bytes.readBigUInt64LE(at + 24))
    const payloadBytes = Number(bytes.readBigUInt64LE(at + 32))
    const [pathBytes, secondBytes] = [bytes.readUInt32LE(at + 40), bytes.readUInt32LE(at + 44)]
    const paths = at + HEAD_BYTES
    const payload = paths + pathBytes + secondBytes
    if (payload + payloadBytes > bytes.byteLength) break
    const kind = KINDS[bytes.readUInt32LE(at + 4) - 1]
    calls.push({
      kind,
      process: bytes.readUInt32LE(at + 8),
      thread: bytes.readUInt32LE(at + 12),
      inode: Number(bytes.readBigUInt64LE(at + 16)),
      offset: kind === 'open' ? 0 : offset,
      path: bytes.toString('utf8', paths, paths + pathBytes),
      second: bytes.toString('utf8', paths + pathBytes, payload),
      payload: bytes.subarray(payload, payload + payloadBytes),
      isNew: kind === 'open' && (offset & IS_NEW) !== 0,
      isCut: kind === 'open' && (offset & IS_CUT) !== 0
    })
    at = payload + payloadBytes
  }
  return calls
}

/** Lines that the program wrote as marks. */
export function marksOf(calls: readonly LoggedCall[]): string[] {
  const text = calls.filter(({ kind }) => kind === 'mark').map(({ payload }) => Buffer.from(payload).toString())
  return text.join('').split('\n').slice(0, -1)
}

export interface ShimOptions {
  /** Absolute, without links. */
  readonly folder: string
  /** Left out: nothing is logged. */
  readonly log?: string
  /** What the program appends its marks to, outside of the folder. Faults count from the mark `arm` on. */
  readonly marks?: string
  /** `ENOSPC:17`, `EIO:17+`, `ENOSPC:17~`: see the shim. */
  readonly fail?: string
  /** `before:17`, `after:17`, `half:17`. */
  readonly kill?: string
  /** A file for the counts of calls that change files, and of those that open them, where nothing kills the process. */
  readonly counts?: string
}

const compiledFor = new WeakMap<TempFolder, string>()

/** Variables for a process under the shim, which is compiled once for a folder; needs a C compiler. */
export function shimEnv(temp: TempFolder, options: ShimOptions): Record<string, string> {
  const { folder, log, marks, fail, kill, counts } = options
  const shim = compiledFor.get(temp) ?? compileShared(temp, '../crash-shim/log-calls.c', 'log-calls.so')
  compiledFor.set(temp, shim)
  return {
    LD_PRELOAD: shim,
    UV_USE_IO_URING: '0', // calls through it are seen by no library
    ZGQ_SHIM_FOLDER: folder,
    ...(log === undefined ? {} : { ZGQ_SHIM_LOG: log }),
    ...(marks === undefined ? {} : { ZGQ_SHIM_MARKS: marks }),
    ...(fail === undefined ? {} : { ZGQ_SHIM_FAIL: fail }),
    ...(kill === undefined ? {} : { ZGQ_SHIM_KILL: kill }),
    ...(counts === undefined ? {} : { ZGQ_SHIM_COUNTS: counts })
  }
}
