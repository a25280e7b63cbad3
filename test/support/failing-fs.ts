// `node:fs` that can be told to fail: a disk that is full after so many bytes, a call that fails, a process that dies at a call.
// Use: vi.mock('node:fs', async (importOriginal) => (await import('./support/failing-fs.ts')).failingFs(await importOriginal()))

import type * as FileSystem from 'node:fs'

/** What is to go wrong, and what happened so far. */
export const faults = {
  /** Bytes that may still be written. */
  bytesLeft: Infinity,
  bytesWritten: 0,
  /** Calls of functions below, by name, in order. */
  calls: new Array<string>(),
  /** Number of the call that fails with EIO. */
  failingCall: -1,
  /** From this call on, every call fails: nothing more happens on disk, as if the process had died. */
  dyingCall: Infinity
}

export function resetFaults(): void {
  Object.assign(faults, { bytesLeft: Infinity, bytesWritten: 0, calls: [], failingCall: -1, dyingCall: Infinity })
}

const COUNTED = [
  'openSync', 'closeSync', 'readSync', 'writeSync', 'fsyncSync', 'renameSync', 'unlinkSync', 'rmSync', 'mkdtempSync', 'writeFileSync', 'readdirSync', 'statSync', 'statfsSync'
] as const

function systemError(code: string, name: string): Error {
  return Object.assign(new Error(`${code}: made by the test, ${name}`), { code, syscall: name })
}

/** Replaces the functions that a build uses by ones that can fail. */
export function failingFs(original: typeof FileSystem): Record<string, unknown> {
  const replaced: Record<string, unknown> = { ...original }
  for (const name of COUNTED) {
    replaced[name] = (...args: unknown[]): unknown => {
      const number = faults.calls.push(name) - 1
      if (number === faults.failingCall || number >= faults.dyingCall) throw systemError('EIO', name)
      return name === 'writeSync' ? writeSome(original, args) : Reflect.apply(original[name], original, args)
    }
  }
  return { ...replaced, default: replaced }
}

/** Writes as much as there is room for, as a real disk does, then fails. */
function writeSome(original: typeof FileSystem, args: unknown[]): unknown {
  const [descriptor, bytes, offset, length, position] = args
  if (typeof length !== 'number') throw new Error('the fake writeSync expects a length')
  const some = Math.min(length, faults.bytesLeft)
  if (some <= 0) throw systemError('ENOSPC', 'writeSync')
  faults.bytesLeft -= some
  faults.bytesWritten += some
  return Reflect.apply(original.writeSync, original, [descriptor, bytes, offset, some, position])
}
