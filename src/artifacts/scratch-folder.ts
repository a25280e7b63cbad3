// Folders for copies, one for each process that needs one. What a killed process left is removed by the next one on
// this machine.

import { readlinkSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { isHeld, readLock, writeLock } from '../build-lock.ts'
import { wrapWriteError } from '../errors.ts'

/**
 * Makes a folder of this process below `parent` (default: the system's temporary folder), and removes those of
 * processes that are no more. Rejects with ZGQ_NOT_FOUND, ZGQ_READ_ONLY or ZGQ_IO.
 */
export async function makeScratch(parent = tmpdir()): Promise<string> {
  const prefix = `zgq-scratch-${namespaceOfProcesses()}-`
  try {
    await removeDead(parent, prefix)
    const folder = await mkdtemp(join(parent, prefix))
    writeLock(folder, false)
    return folder
  } catch (error) {
    throw wrapWriteError(error, parent, 'make a folder for copies')
  }
}

/** Removes a folder of `makeScratch`; one that is not there is no error. */
export async function removeScratch(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch((error: unknown) => {
    throw wrapWriteError(error, folder, 'remove a folder for copies')
  })
}

/** As good as it goes: what others own stays. */
async function removeDead(parent: string, prefix: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue
    const folder = join(parent, name)
    const lock = readLock(folder) // none: it is being made
    if (lock !== undefined && !isHeld(lock)) await rm(folder, { recursive: true, force: true }).catch(() => undefined)
  }
}

/**
 * Containers may share a folder and the name of the host, and number their processes each for itself: of another
 * container's processes nobody here knows whether they live (Linux).
 */
function namespaceOfProcesses(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0'
  } catch {
    return '0'
  }
}
