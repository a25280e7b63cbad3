// A real folder for the files of one test file, removed after its last test.

import { mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

const SHARED_MEMORY = '/dev/shm'
const ENOUGH_BYTES = 2 ** 31

/**
 * A parent for tests that build very often and to which disks do not matter: syncing to memory takes no time. The
 * system's temporary folder where there is no such place, or a small one.
 */
export const IN_MEMORY = hasRoom(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir()

function hasRoom(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path)
    return process.platform === 'linux' && bavail * bsize > ENOUGH_BYTES
  } catch {
    return false
  }
}

export interface TempFolder {
  readonly path: string
  /** A path in the folder that was never given before. */
  fresh(name: string): string
  /** Names in the folder, or in one below it. */
  list(below?: string): string[]
}

/** Makes a folder under `parent` (the system's temporary folder by default); call it at the top of a test file. */
export function useTempFolder(name: string, parent = tmpdir()): TempFolder {
  const path = mkdtempSync(join(parent, `zgq-${name}-`))
  afterAll(() => {
    rmSync(path, { recursive: true, force: true })
  })
  let given = 0
  return {
    path,
    fresh: (stem) => join(path, `${given++}-${stem}`),
    list: (below = '') => readdirSync(join(path, below)).sort()
  }
}
