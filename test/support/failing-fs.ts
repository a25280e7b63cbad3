// `node:fs` that can be told to fail: a disk that is full after so many bytes, a call that fails, a process that dies
// at a call (in a removal: half-way). Use: vi.mock('node:fs', async (importOriginal) => (await
// import('./support/failing-fs.ts')).failingFs(await importOriginal()))

import type * as FileSystem from 'node:fs'

function noHook(): ((call: number) => void) | undefined {
  return undefined
}

/** What is to go wrong, and what happened so far. */
export const faults = {
  /** Bytes that may still be written. */
  bytesLeft: Infinity,
  bytesWritten: 0,
  /** Calls of functions below, by name, in order. */
  calls: new Array<string>(),
  /** Number of the call that fails with EIO. */
  failingCall: -1,
  /** The call of a function that fails with EIO, as `fsyncSync 3`: where others come between, in any number. */
  failingOne: '',
  /** From this call on, every call fails: nothing more happens on disk, as if the process had died. */
  dyingCall: Infinity,
  /** Called with the number of each call that is done: what another process does meanwhile. */
  afterCall: noHook()
}

export function resetFaults(): void {
  Object.assign(faults, {
    bytesLeft: Infinity,
    bytesWritten: 0,
    calls: [],
    failingCall: -1,
    failingOne: '',
    dyingCall: Infinity,
    afterCall: undefined
  })
}

const COUNTED = [
  'openSync',
  'closeSync',
  'readSync',
  'writeSync',
  'fsyncSync',
  'renameSync',
  'unlinkSync',
  'rmSync',
  'mkdirSync',
  'mkdtempSync',
  'readFileSync',
  'writeFileSync',
  'readdirSync',
  'statSync',
  'statfsSync'
] as const

function isFailing(name: string): boolean {
  const [wanted, nth] = faults.failingOne.split(' ')
  return wanted === name && faults.calls.filter((other) => other === name).length === Number(nth)
}

function systemError(code: string, name: string): Error {
  return Object.assign(new Error(`${code}: made by the test, ${name}`), { code, syscall: name })
}

/** Replaces the functions that a build uses by ones that can fail. */
export function failingFs(original: typeof FileSystem): Record<string, unknown> {
  const replaced: Record<string, unknown> = { ...original }
  /** Descriptors of the code under test. */
  const open = new Set<unknown>()
  const really = (name: (typeof COUNTED)[number], args: unknown[]): unknown => {
    if (name === 'writeSync') return writeSome(original, args)
    if (name === 'closeSync') open.delete(args[0])
    const result: unknown = Reflect.apply(original[name], original, args)
    if (name === 'openSync') open.add(result)
    return result
  }
  for (const name of COUNTED) {
    replaced[name] = (...args: unknown[]): unknown => {
      const number = faults.calls.push(name) - 1
      if (isFailing(name)) throw systemError('EIO', name)
      if (name === 'rmSync' && number === faults.dyingCall) removeFirstFiles(original, args)
      if (number >= faults.dyingCall) {
        // All that a dead process had open the system closes, also what its code would not have come to: one close
        // that throws keeps the code from the next. On Windows an open file could not be removed by anybody.
        for (const descriptor of open) Reflect.apply(original.closeSync, original, [descriptor])
        open.clear()
        throw systemError('EIO', name)
      }
      if (number === faults.failingCall) {
        if (name === 'closeSync') really(name, args) // what close reports, it reports of a file that is closed
        throw systemError('EIO', name)
      }
      try {
        return really(name, args)
      } finally {
        const { afterCall } = faults
        faults.afterCall = undefined // its own calls are not among those of the code under test
        afterCall?.(number)
        faults.afterCall = afterCall
      }
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

/** Files by which a folder is known, in the order in which a removal that dies half-way may have come to them. */
const TELLING_FILES = ['lock.json', 'catalogue.sqlite']

/** Removes of a folder what its removal could have removed before the process died. */
function removeFirstFiles(original: typeof FileSystem, args: unknown[]): void {
  const [path] = args
  for (const name of TELLING_FILES) original.rmSync(`${String(path)}/${name}`, { force: true })
}
