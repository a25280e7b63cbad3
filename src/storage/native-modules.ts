// Loads the native packages on first use and says in plain words why one does not load. Nothing else requires them.

import type koffi from 'koffi'

import { requirePackage } from '../require-package.ts'

type Koffi = typeof koffi

/** Loads koffi, or returns the reason why it does not load here. */
export function loadKoffi(): { koffi: Koffi } | { reason: string } {
  try {
    const koffi: Koffi = requirePackage('koffi')
    return { koffi }
  } catch (error) {
    return { reason: `koffi does not load: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}` }
  }
}

/** The part of mmap-io in use; the package brings no types that fit this compiler. */
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
