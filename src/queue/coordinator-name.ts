// The name of the coordinator of an output. It is in the working folder, which one process has at a time: a call that
// goes on with the work of one that was killed takes its place, instead of waiting until that does not count any more.

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'

import { writeStored } from '../build/stored-json.ts'
import { systemCode, wrapReadError } from '../errors.ts'
import { readSmallFile } from '../small-file.ts'

const FILE_NAME = 'coordinator.json'
const STORED_NAME = /^"([0-9a-f-]{36})"$/

/** Returns the name that a working folder has, or gives it one. */
export function coordinatorName(folder: string): string {
  const path = join(folder, FILE_NAME)
  const known = STORED_NAME.exec(readIfThere(path) ?? '')?.[1]
  if (known !== undefined) return known
  const name = randomUUID()
  writeStored(path, name, false)
  return name
}

function readIfThere(path: string): string | undefined {
  try {
    return readSmallFile(path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw wrapReadError(error, path, 'read what an earlier stage of the build left')
  }
}
