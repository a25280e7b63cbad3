// A folder that appears whole or not at all: tasks write into one of their own and rename it when it is complete. Two
// processes that do the same task do not disturb each other.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'

import { wrapWriteError } from '../errors.ts'
import { removeQuietly, temporaryEnding } from './stored-json.ts'

/**
 * Has `write` fill a folder and puts it at `path`; where `write` fails, nothing is left. Throws ZGQ_IO or
 * ZGQ_READ_ONLY.
 */
export async function fillFolder(path: string, write: (folder: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${temporaryEnding()}`
  try {
    rmSync(temporary, { recursive: true, force: true })
    mkdirSync(temporary)
  } catch (error) {
    throw wrapWriteError(error, temporary, 'make a temporary folder')
  }
  try {
    await write(temporary)
  } catch (error) {
    removeQuietly(temporary)
    throw error
  }
  try {
    renameSync(temporary, path)
  } catch (error) {
    removeQuietly(temporary)
    if (!existsSync(path)) throw wrapWriteError(error, path, 'rename a temporary folder')
    // else another process was faster
  }
}
