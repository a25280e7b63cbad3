// The three ways in which a process or thread can have a parent, behind one small interface.

import { parentPort } from 'node:worker_threads'

/**
 * @typedef {object} Port
 * @property {(message: unknown) => void} post
 * @property {(listener: (message: any) => void) => void} listen
 */

/**
 * Returns the way to the parent: Electron's utilityProcess, a worker thread of Node.js, or a forked process of Node.js.
 * @returns {Port}
 */
export function openPort() {
  const electron = process.parentPort // only in a utilityProcess
  if (electron)
    return {
      post: (message) => electron.postMessage(message),
      listen: (listener) => electron.on('message', ({ data }) => listener(data))
    }
  const thread = parentPort
  if (thread)
    return { post: (message) => thread.postMessage(message), listen: (listener) => thread.on('message', listener) }
  if (process.send) {
    process.on('disconnect', () => process.exit()) // the parent is gone
    return { post: (message) => process.send?.(message), listen: (listener) => process.on('message', listener) }
  }
  throw new Error(
    'index-worker.js answers messages: start it with utilityProcess.fork, new Worker or child_process.fork'
  )
}
