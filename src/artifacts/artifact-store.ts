// The seam between the tasks of a build and where their results are kept: a folder that all machines see, or a bucket.

import { basename } from 'node:path'

/**
 * Where the artifacts of one build are. An artifact is a folder of files that one task leaves under one name; it is
 * there whole or not at all, and never changes. Beside artifacts there are small objects, which one of several
 * publishers decides. All methods reject with the reason of the signal; with ZGQ_IO where the store cannot be reached,
 * denies access or is full; with ZGQ_CLOSED after `close`.
 */
export interface ArtifactStore {
  /** Names the store in messages, without credentials. */
  readonly place: string
  /**
   * The folder on this machine in which artifacts are read and made: the store itself, or a folder of this process for
   * copies of a bucket's artifacts.
   */
  readonly path: string
  /** Whether the artifact is there whole. */
  has(name: string, signal: AbortSignal): Promise<boolean>
  /**
   * Makes files of an artifact readable at `path/name/file`: those named, or all (undefined). Calls at the same time
   * share the work. Returns the bytes that this call moved. Rejects with ZGQ_NOT_FOUND where the artifact or a file of
   * it is not there, with ZGQ_CORRUPT where it came damaged twice.
   */
  read(name: string, files: readonly string[] | undefined, signal: AbortSignal): Promise<number>
  /**
   * Stores the artifact that stands whole at `path/name`; where it is stored already, nothing happens. Returns the
   * bytes that were moved. Rejects with ZGQ_NOT_FOUND where nothing stands there.
   */
  write(name: string, signal: AbortSignal): Promise<number>
  /**
   * Stores a small object where there is none of that name, as one step, and returns what is there now: of several
   * publishers all get the bytes of one. Rejects with ZGQ_UNSUPPORTED where the store has no such step.
   */
  publish(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
  /** Reads a small object; undefined where there is none. */
  readObject(name: string, signal: AbortSignal): Promise<Uint8Array | undefined>
  /** Gives up the local copy of an artifact; nothing where the store is the folder itself. */
  release(name: string): void
  /** Names of all artifacts and objects, those included that were not completed. */
  list(signal: AbortSignal): Promise<string[]>
  /** Removes an artifact or object; one that is not there is no error. */
  remove(name: string, signal: AbortSignal): Promise<void>
  /** Removes all that the store has of this build, and its folder. */
  clear(signal: AbortSignal): Promise<void>
  /** Ends what is on its way, and removes the copies. A second call does nothing. */
  close(): Promise<void>
}

/** Throws RangeError for what is no name of one thing in a folder: removing it would remove something else. */
export function checkName(name: string): void {
  if (name === '' || name === '.' || name === '..' || basename(name) !== name || name.includes('\\'))
    throw new RangeError(`no name of an artifact: ${JSON.stringify(name)}`)
}
