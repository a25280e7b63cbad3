// Opens an index for a command that changes it.

import { ZgqError, ZgqIndex, type Id } from '../src/index.ts'
import { flag, type Given } from './arguments.ts'

/**
 * Opens an index for writing. `model`: the one that rows to be written come from; null: no vectors are written. Throws
 * ZGQ_MISMATCH where the index names another model.
 */
export function openForWriting(path: string, given: Given, model: string | undefined | null): ZgqIndex<Id> {
  const named = modelOf(path)
  if (model === undefined && named !== undefined)
    throw new ZgqError(
      'ZGQ_MISMATCH',
      `the vectors are of model ${JSON.stringify(named)}: name the model of the rows that you write with --model`,
      { path }
    )
  return ZgqIndex.open<Id>(path, {
    mode: 'write',
    model: model ?? named,
    allowNetworkFileSystem: flag(given, 'allow-network-file-system')
  })
}

function modelOf(path: string): string | undefined {
  const index = ZgqIndex.open<Id>(path)
  try {
    return index.info().model
  } finally {
    index.close()
  }
}
