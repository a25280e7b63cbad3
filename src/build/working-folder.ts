// The folder in which a build works, its lock, and the rename that publishes it (spec, section 10).

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { threadId } from 'node:worker_threads'

import { systemCode, wrapWriteError, ZgqError } from '../errors.ts'
import { readCatalogue } from '../storage/catalogue-reader.ts'
import { syncFolder } from '../storage/file-writer.ts'

const LOCK_NAME = 'lock.json'
/** Between OUTPUT.building and the number of a process that is about to take or clear that place. */
const FALSE_START = `-${hostname()}-`

export class WorkingFolder {
  readonly path: string
  readonly #output: string
  readonly #force: boolean
  #isDone = false

  private constructor(output: string, force: boolean) {
    this.#output = output
    this.#force = force
    this.path = `${output}.building`
  }

  /**
   * Takes the place beside `output`. Throws ZGQ_EXISTS, ZGQ_NOT_AN_INDEX (something else stands there), ZGQ_LOCKED, ZGQ_NOT_FOUND (no parent folder) or ZGQ_READ_ONLY;
   * nothing is left behind then.
   */
  static take(output: string, force: boolean): WorkingFolder {
    const folder = new WorkingFolder(resolve(output), force)
    try {
      folder.#lock()
    } catch (error) {
      throw wrapWriteError(error, dirname(folder.#output), 'make a folder for the build')
    }
    try {
      folder.#restoreReplaced()
      folder.#expectFree()
    } catch (error) {
      folder.discard()
      throw wrapWriteError(error, folder.#output, 'prepare the output')
    }
    return folder
  }

  /** A path in the folder. */
  file(name: string): string {
    return join(this.path, name)
  }

  /** Tells the lock from the files of the build. */
  isLock(name: string): boolean {
    return name === LOCK_NAME
  }

  /** Puts the finished index in its place; what stood there is removed afterwards. */
  publish(): void {
    const replaced = `${this.#output}.replaced`
    try {
      syncFolder(this.path)
      this.#expectFree() // once more: somebody may have put something there meanwhile
      const isReplacing = existsSync(this.#output)
      if (isReplacing) renameSync(this.#output, replaced)
      try {
        renameSync(this.path, this.#output)
      } catch (error) {
        if (isReplacing) renameSync(replaced, this.#output)
        throw error
      }
      this.#isDone = true
      syncFolder(dirname(this.#output))
      // The lock goes last: until here a second build must not take the place.
      unlinkSync(join(this.#output, LOCK_NAME))
      this.#remove(replaced)
    } catch (error) {
      throw wrapWriteError(error, this.#output, 'publish the index')
    }
  }

  /** Removes all that the build wrote, unless it was published. */
  discard(): void {
    if (!this.#isDone) this.#remove(this.path)
  }

  /** Removes a folder under a name that the next build clears away: one that was removed half would look like what no build made. */
  #remove(path: string): void {
    if (!existsSync(path)) return
    const dead = this.#deadName()
    renameSync(path, dead)
    rmSync(dead, { recursive: true, force: true })
  }

  #deadName(): string {
    return `${this.path}${FALSE_START}${process.pid}-${threadId}-dead`
  }

  /** A folder that already holds its lock is renamed into place: taking it is one step, whoever else tries. */
  #lock(): void {
    const parent = dirname(this.#output)
    if (!existsSync(parent)) throw new ZgqError('ZGQ_NOT_FOUND', 'the folder for the output does not exist; make it first', { path: parent })
    this.#clearFalseStarts(parent)
    const mine = `${this.path}${FALSE_START}${process.pid}-${threadId}`
    mkdirSync(mine)
    try {
      writeFileSync(join(mine, LOCK_NAME), JSON.stringify({ pid: process.pid, host: hostname() }))
      for (let attempt = 0; ; attempt++) {
        try {
          renameSync(mine, this.path)
          return
        } catch (error) {
          const isTaken = ['ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOTDIR'].includes(systemCode(error) ?? '')
          if (!isTaken || attempt > 2) throw error
          this.#clearDeadBuild()
        }
      }
    } catch (error) {
      rmSync(mine, { recursive: true, force: true })
      throw error
    }
  }

  /** Removes the folder of a build that died; throws ZGQ_LOCKED if its process lives. */
  #clearDeadBuild(): void {
    if (!existsSync(this.path)) return // published or discarded meanwhile: the place is free
    if (!existsSync(join(this.path, LOCK_NAME))) {
      throw new ZgqError('ZGQ_EXISTS', `${basename(this.path)} exists and no build made it: move it away, or choose another output`, { path: this.path })
    }
    const owner = readLock(join(this.path, LOCK_NAME))
    if (owner !== undefined && (owner.host !== hostname() || isAlive(owner.pid))) {
      throw new ZgqError('ZGQ_LOCKED', `process ${owner.pid} on ${owner.host} is building this index; wait for it, or remove the folder if that process is not a build`, { path: this.path })
    }
    // Renamed first: of several builds that find it dead, one removes it.
    const dead = this.#deadName()
    renameSync(this.path, dead)
    const found = readLock(join(dead, LOCK_NAME))
    if (found !== undefined && (found.host !== hostname() || isAlive(found.pid))) {
      renameSync(dead, this.path) // another build cleared it and took the place since the lock was read
      throw new ZgqError('ZGQ_LOCKED', `process ${found.pid} on ${found.host} is building this index; wait for it`, { path: this.path })
    }
    rmSync(dead, { recursive: true, force: true })
  }

  /** Removes what builds of this host left that died while they took or cleared the place. */
  #clearFalseStarts(parent: string): void {
    const prefix = `${basename(this.path)}${FALSE_START}`
    for (const name of readdirSync(parent)) {
      const owner = name.startsWith(prefix) ? /^(\d+)-(\d+)(-dead)?$/.exec(name.slice(prefix.length)) : null
      if (owner === null) continue
      const pid = Number(owner[1])
      // Taking the place is one step of a thread: what carries this thread's own number is of an earlier process with that number.
      const isMine = pid === process.pid && Number(owner[2]) === threadId
      if (isMine || !isAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true })
    }
  }

  /** A crash between the renames left only the old index, under its temporary name: put it back. A crash after them left it behind: remove it. */
  #restoreReplaced(): void {
    const replaced = `${this.#output}.replaced`
    if (!existsSync(replaced)) return
    expectIndex(replaced)
    if (existsSync(this.#output)) this.#remove(replaced)
    else renameSync(replaced, this.#output)
  }

  #expectFree(): void {
    if (!existsSync(this.#output)) return
    if (!this.#force) throw new ZgqError('ZGQ_EXISTS', `${basename(this.#output)} exists; choose another output, or replace it with force (--force)`, { path: this.#output })
    expectIndex(this.#output)
  }
}

/** Throws ZGQ_NOT_AN_INDEX for what no build made; a damaged index passes. */
function expectIndex(path: string): void {
  try {
    readCatalogue(path)
  } catch (cause) {
    if (!(cause instanceof ZgqError) || cause.code !== 'ZGQ_NOT_AN_INDEX') return
    throw new ZgqError('ZGQ_NOT_AN_INDEX', `${basename(path)} exists and is not an index: it is not replaced; move it away, or choose another output`, { path, cause })
  }
}

function readLock(path: string): { pid: number; host: string } | undefined {
  try {
    const lock: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof lock !== 'object' || lock === null || !('pid' in lock) || !('host' in lock)) return undefined
    return typeof lock.pid === 'number' && typeof lock.host === 'string' ? { pid: lock.pid, host: lock.host } : undefined
  } catch {
    return undefined // cut short by a crash: its process is gone
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM' // there, but another user's
  }
}
