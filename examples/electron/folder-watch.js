// Tells that something below a folder has changed. What has changed is for the caller to find out: systems lose events,
// and some folders cannot be watched at all.

import { watch } from 'node:fs'

/** A file that is being saved is written more than once. */
const SETTLE_MS = 150
/** Where the system tells. It may lose something, as in a folder that was just made. */
const LOOK_MS = 10_000
/** Where it does not. */
const LOOK_OFTEN_MS = 1000

/**
 * Calls `onChange` soon after files below `folder` have changed (`recursive: false`: in it), and now and then in any
 * case. Returns what ends it.
 * @param {string} folder @param {() => void} onChange @param {{ recursive?: boolean }} [options]
 * @returns {() => void}
 */
export function watchFolder(folder, onChange, { recursive = true } = {}) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let settling
  const soon = () => {
    settling ??= setTimeout(() => {
      settling = undefined
      onChange()
    }, SETTLE_MS).unref()
  }
  let looking = setInterval(soon, LOOK_MS).unref()
  const lookOften = () => {
    clearInterval(looking)
    looking = setInterval(soon, LOOK_OFTEN_MS).unref()
  }
  /** @type {import('node:fs').FSWatcher | undefined} */
  let watcher
  try {
    watcher = watch(folder, { recursive, persistent: false }, soon)
    watcher.on('error', lookOften)
  } catch {
    lookOften() // too many folders for the system, or a disk that tells nothing
  }
  return () => {
    clearTimeout(settling)
    clearInterval(looking)
    watcher?.close()
  }
}
