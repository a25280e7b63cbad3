// Loads the native packages on first use and says in plain words why one does not load. Nothing else requires them.

import { createRequire } from 'node:module'

import type BetterSqlite3 from 'better-sqlite3'
import type koffi from 'koffi'

import { ZgqError } from '../errors.ts'
import { MODULE_URL } from '../module-url.ts'

const requirePackage = createRequire(MODULE_URL)

type Koffi = typeof koffi
type Sqlite = typeof BetterSqlite3

/** Loads koffi, or returns the reason why it does not load here. */
export function loadKoffi(): { koffi: Koffi } | { reason: string } {
  try {
    const koffi: Koffi = requirePackage('koffi')
    return { koffi }
  } catch (error) {
    return { reason: `koffi does not load: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}` }
  }
}

/** What is used of mmap-io; the package brings no types that fit this compiler. */
export interface MmapIo {
  readonly PROT_READ: number
  readonly MAP_SHARED: number
  readonly MADV_RANDOM: number
  readonly MADV_WILLNEED: number
  readonly PAGESIZE: number
  map(byteLength: number, protection: number, flags: number, descriptor: number, offset: number, advice: number): Buffer
  advise(buffer: Buffer, advice: number): void
}

/** Loads mmap-io, or returns the reason why it does not load here. */
export function loadMmapIo(): { mmapIo: MmapIo } | { reason: string } {
  try {
    const mmapIo: MmapIo = requirePackage('mmap-io')
    return { mmapIo }
  } catch (error) {
    return { reason: `mmap-io does not load: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}` }
  }
}

/** Loads better-sqlite3; throws ZGQ_UNSUPPORTED where it is missing or would crash this Node. */
export function loadSqlite(): Sqlite {
  try {
    const manifest: { version: string } = requirePackage('better-sqlite3/package.json')
    refuseCrash(manifest.version)
    const sqlite: Sqlite = requirePackage('better-sqlite3')
    return sqlite
  } catch (cause) {
    if (cause instanceof ZgqError) throw cause
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `better-sqlite3 does not load: ${reason}. Install it beside zgq: npm install better-sqlite3`,
      { cause }
    )
  }
}

/** Version 13 segfaults on Node below 22, so it must be refused before it is loaded. */
function refuseCrash(version: string): void {
  const node = Number(process.versions.node.split('.')[0])
  if (Number(version.split('.')[0]) >= 13 && node < 22) {
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `better-sqlite3 ${version} crashes on Node ${process.versions.node}: use Node 22 or newer, or npm ` +
        'install better-sqlite3@12'
    )
  }
}
