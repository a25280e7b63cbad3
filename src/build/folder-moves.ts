// Steps with the folder of a build as a whole: into its place, back to it, and away.

import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { LOCK_NAME } from '../build-lock.ts'
import { isRefusal, systemCode } from '../errors.ts'
import { JOINED_NAME, RECIPE_NAME } from './site.ts'

/** Removes from a published index what the build had there; the lock, which says what it is, last. */
export function clearTraces(index: string): void {
  for (const name of [RECIPE_NAME, JOINED_NAME, LOCK_NAME]) rmSync(join(index, name), { force: true })
}

/** Puts work back that a build died with as it took it over; returns false where something else is there by now. */
export function giveBack(work: string, place: string): boolean {
  try {
    takePlace(work, place)
    return true
  } catch (error) {
    const code = systemCode(error) ?? ''
    if (code === 'ENOENT') return true // another build was faster
    if (['ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOTDIR'].includes(code)) return false
    throw error
  }
}

/** Renames a folder to where nothing is, or an empty folder; throws where something else is. */
export function takePlace(folder: string, place: string): void {
  // Windows would put the folder in the place of a file.
  if (process.platform === 'win32' && existsSync(place))
    throw Object.assign(new Error(`EEXIST: ${place}`), { code: 'EEXIST' })
  renameSync(folder, place)
}

/**
 * Removes a folder that is in nobody's way. On Windows files that are open stay until they are closed: the next build
 * removes them.
 */
export function removeDead(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true })
  } catch (error) {
    const isOpen = process.platform === 'win32' && (isRefusal(error) || systemCode(error) === 'ENOTEMPTY')
    if (!isOpen) throw error
  }
}
