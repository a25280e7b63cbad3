// The folder in which a build works, its lock, and the rename that publishes it (spec, section 10).

import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { threadId } from 'node:worker_threads'

import { systemCode, wrapWriteError, ZgqError } from '../errors.ts'
import { readCatalogue } from '../catalogue/reader.ts'
import { clearStageLock, isAlive, isHeld, LOCK_NAME, readLock, writeLock, writeStageLock } from '../build-lock.ts'
import { FILE_KIND_NAMES } from '../format/kinds.ts'
import { syncFolder } from '../storage/file-writer.ts'
import { clearTraces, giveBack, removeDead, takePlace } from './folder-moves.ts'
import { findOpenFile, renameFolder } from './open-files.ts'
import { RECIPE_NAME } from './site.ts'

/** Names of files in the folder of an index; anything else there is the user's. */
const OWN_FILES = new RegExp(
  `^(catalogue\\.sqlite(-journal|-wal|-shm)?|fold\\.lock|(lock|recipe|joined)\\.json|` +
    `(${FILE_KIND_NAMES.join('|')})-\\d{6}-\\d{5}\\.zgq)$`
)
/** Begins the names of locks that processes of one stage hold side by side. */
const STAGE_LOCK = 'lock-'
/** Left by a build of this host that died while it took or cleared a place: process, thread, and the step it was at. */
const LEFT_BY = /^(\d+)-(\d+)(?:-(dead|taken)\d*)?$/
/** Between OUTPUT.building and the number of a process that is about to take or clear that place. */
const FALSE_START = `-${hostname()}-`

export class WorkingFolder {
  readonly path: string
  readonly #output: string
  readonly #force: boolean
  /** Where the old index stands while the new one is put into its place. */
  readonly #replaced: string
  #isDone = false

  private constructor(output: string, force: boolean) {
    this.#output = output
    this.#force = force
    this.path = `${output}.building`
    this.#replaced = `${output}.replaced`
  }

  /**
   * Takes the place beside `output`. Throws ZGQ_EXISTS, ZGQ_NOT_AN_INDEX (something else stands there), ZGQ_LOCKED,
   * ZGQ_NOT_FOUND (no parent folder) or ZGQ_READ_ONLY; nothing is left behind then.
   */
  static take(output: string, force: boolean): WorkingFolder {
    const folder = new WorkingFolder(resolve(output), force)
    try {
      folder.#lock()
    } catch (error) {
      throw wrapWriteError(error, dirname(folder.#output), 'make a folder for the build')
    }
    try {
      folder.#clearReplaced()
      folder.#expectFree()
    } catch (error) {
      folder.leave()
      throw wrapWriteError(error, folder.#output, 'prepare the output')
    }
    return folder
  }

  /** A path in the folder. */
  file(name: string): string {
    return join(this.path, name)
  }

  /**
   * Removes all but the lock and what `keep` wants: of an earlier build, or of this one once it is done. The recipe
   * goes first: where it stands, all that it was followed by must be there.
   */
  clear(keep: (name: string) => boolean): void {
    try {
      if (!keep(RECIPE_NAME) && existsSync(this.file(RECIPE_NAME))) {
        rmSync(this.file(RECIPE_NAME), { recursive: true, force: true })
        syncFolder(this.path)
      }
      for (const name of readdirSync(this.path)) {
        if (name !== LOCK_NAME && !keep(name)) rmSync(this.file(name), { recursive: true, force: true })
      }
    } catch (error) {
      throw wrapWriteError(error, this.path, 'remove temporary files')
    }
  }

  /**
   * Leaves the folder as it is, for the next stage; removes it where nothing was begun in it: without a recipe and a
   * lock it would look like what no build made.
   */
  leave(): void {
    if (this.#isDone) return
    if (!existsSync(this.file(RECIPE_NAME))) {
      this.discard()
      return
    }
    this.#isDone = true
    removeLock(this.path, LOCK_NAME)
  }

  /**
   * Joins a stage that several processes share in the folder beside `output`, under a name of its own; returns what
   * leaves it again. Throws ZGQ_LOCKED where that name is taken, or another process has the folder for itself.
   */
  static join(output: string, name: string): { readonly path: string; leave(): void } {
    const path = `${resolve(output)}.building`
    const lock = `${STAGE_LOCK}${name}.json`
    const leave = (): void => {
      removeLock(path, lock)
    }
    try {
      expectNotHeld(path, LOCK_NAME)
      while (!writeStageLock(join(path, lock))) {
        expectNotHeld(path, lock)
        clearStageLock(path, lock)
      }
    } catch (error) {
      if (!existsSync(path))
        throw new ZgqError('ZGQ_NOT_FOUND', 'no build was started here: run the stage read first', { path })
      throw wrapWriteError(error, path, 'join the build')
    }
    try {
      expectNotHeld(path, LOCK_NAME) // once more: who wants the folder for itself sees this lock, or is seen by it
    } catch (error) {
      leave()
      throw error
    }
    return { path, leave }
  }

  /**
   * Throws what `publish` would if something has come to stand at the output, or the index there is open on Windows:
   * then what was done stays, for a build of the same to go on with.
   */
  expectPublishable(): void {
    try {
      this.#expectFree()
      this.#expectClosed()
    } catch (error) {
      throw wrapWriteError(error, this.#output, 'look at the output')
    }
  }

  /** Puts the finished index in its place; what stood there is removed afterwards. */
  publish(): void {
    try {
      syncFolder(this.path)
      this.#expectFree() // once more: somebody may have put something there meanwhile
      const isReplacing = existsSync(this.#output)
      if (isReplacing) {
        writeLock(this.path, true)
        renameFolder(this.#output, this.#replaced)
      }
      try {
        renameFolder(this.path, this.#output)
      } catch (error) {
        if (isReplacing) renameFolder(this.#replaced, this.#output)
        throw error
      }
      this.#isDone = true
      syncFolder(dirname(this.#output))
      // The lock goes after the old index: it is what tells that the old index is to go.
      if (!isReplacing || this.#removeReplaced()) clearTraces(this.#output)
    } catch (error) {
      throw wrapWriteError(error, this.#output, 'publish the index')
    }
  }

  /** Removes all that the build wrote, unless it was published. */
  discard(): void {
    if (!this.#isDone) this.#remove(this.path)
  }

  /**
   * Removes a folder under a name that the next build clears away: one that was removed half would look like what no
   * build made.
   */
  #remove(path: string): void {
    const dead = this.#freeName('dead')
    try {
      renameSync(path, dead)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return // nothing there, or cleared by another build
      throw error
    }
    removeDead(dead)
  }

  /** A name where nothing is: an earlier build of this thread may have had to leave something. */
  #freeName(kind: 'dead' | 'taken'): string {
    for (let number = 0; ; number++) {
      const name = `${this.path}${FALSE_START}${process.pid}-${threadId}-${kind}${number}`
      if (!existsSync(name)) return name
    }
  }

  /** A folder that already holds its lock is renamed into place: taking it is one step, whoever else tries. */
  #lock(): void {
    const parent = dirname(this.#output)
    if (!existsSync(parent))
      throw new ZgqError('ZGQ_NOT_FOUND', 'the folder for the output does not exist; make it first', { path: parent })
    this.#clearFalseStarts(parent)
    const mine = `${this.path}${FALSE_START}${process.pid}-${threadId}`
    mkdirSync(mine)
    try {
      writeLock(mine, false)
      for (let attempt = 0; ; attempt++) {
        try {
          takePlace(mine, this.path)
          return
        } catch (error) {
          const isTaken = ['ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOTDIR'].includes(systemCode(error) ?? '')
          if (!isTaken || attempt > 2) throw error
          if (!this.#takeOver()) continue
          rmSync(mine, { recursive: true, force: true })
          return
        }
      }
    } catch (error) {
      rmSync(mine, { recursive: true, force: true })
      throw error
    }
  }

  /**
   * Makes the folder of a build that died, or that goes on in stages, that of this build, after putting back the index
   * that it was about to replace: what it did need not be done again. Returns false where it is gone meanwhile; throws
   * ZGQ_LOCKED if its process lives.
   */
  #takeOver(): boolean {
    if (!existsSync(this.path)) return false // published or discarded meanwhile: the place is free
    if (!existsSync(join(this.path, LOCK_NAME)) && !existsSync(join(this.path, RECIPE_NAME))) {
      throw new ZgqError(
        'ZGQ_EXISTS',
        `${basename(this.path)} exists, and no build left it: move it away, or choose another output`,
        { path: this.path }
      )
    }
    expectDead(this.path)
    this.#expectFree() // now: what was done must not be lost because of it
    if (readLock(this.path)?.isReplacing === true && !existsSync(this.#output) && existsSync(this.#replaced))
      renameSync(this.#replaced, this.#output)
    // Renamed first: of several builds that find it dead, one gets it.
    const taken = this.#freeName('taken')
    renameSync(this.path, taken)
    try {
      expectDead(taken)
    } catch (error) {
      renameSync(taken, this.path) // another build cleared it and took the place since the lock was read
      throw error
    }
    try {
      writeLock(taken, false)
      renameSync(taken, this.path)
    } catch (error) {
      // work that is not to be lost, and nobody's now
      if (existsSync(join(taken, RECIPE_NAME))) rmSync(join(taken, LOCK_NAME), { force: true })
      renameSync(taken, this.path)
      throw error
    }
    return true
  }

  /** Clears up after builds of this host that died while they took or cleared the place; puts their work back. */
  #clearFalseStarts(parent: string): void {
    const prefix = `${basename(this.path)}${FALSE_START}`
    for (const name of readdirSync(parent)) {
      const owner = name.startsWith(prefix) ? LEFT_BY.exec(name.slice(prefix.length)) : null
      if (owner === null) continue
      const pid = Number(owner[1])
      // Taking the place is one step of a thread: what carries this thread's own number is of an earlier process with
      // that number.
      const isMine = pid === process.pid && Number(owner[2]) === threadId
      if (!isMine && isAlive(pid)) continue
      const left = join(parent, name)
      if (owner[3] !== 'taken' || !giveBack(left, this.path)) removeDead(left)
    }
  }

  /**
   * Finishes for a build that died after its renames: removes the index that it replaced, which the lock in its own
   * index tells.
   */
  #clearReplaced(): void {
    const lock = readLock(this.#output)
    if (lock === undefined || (!lock.isReplacing && isHeld(lock))) return
    expectDead(this.#output)
    if (lock.isReplacing && !this.#removeReplaced())
      throw new ZgqError(
        'ZGQ_LOCKED',
        'the index that the last build replaced is still open: close it (index.close())',
        {
          path: this.#replaced
        }
      )
    clearTraces(this.#output)
  }

  /**
   * Removes the index that was replaced; false where a reader on Windows, which came between the renames, has it open:
   * it then stays, and so does the lock, which tells the next build that it is to go.
   */
  #removeReplaced(): boolean {
    if (existsSync(this.#replaced) && findOpenFile(this.#replaced) !== undefined) return false
    this.#remove(this.#replaced)
    return true
  }

  #expectClosed(): void {
    const open = existsSync(this.#output) ? findOpenFile(this.#output) : undefined
    if (open === undefined) return
    this.leave()
    throw new ZgqError(
      'ZGQ_LOCKED',
      `the index to replace is open (${open}), and Windows does not replace a folder with open files: close it ` +
        'everywhere (index.close()) and build again; the work of this build is kept',
      { path: this.#output }
    )
  }

  /** Throws ZGQ_EXISTS or ZGQ_NOT_AN_INDEX if something stands at the output that must not be replaced. */
  #expectFree(): void {
    const found = lstatSync(this.#output, { throwIfNoEntry: false })
    if (found === undefined) return
    const refuse = (what: string): ZgqError =>
      new ZgqError('ZGQ_EXISTS', `${basename(this.#output)} ${what}`, { path: this.#output })
    if (!this.#force) throw refuse('exists; choose another output, or replace it with force: true')
    if (found.isSymbolicLink())
      throw refuse('is a symbolic link, which is not replaced; give the folder that it points to')
    expectIndex(this.#output)
    const stranger = readdirSync(this.#output).find((name) => !OWN_FILES.test(name))
    if (stranger !== undefined)
      throw refuse(`holds ${stranger}, which is not part of an index, so it is not replaced; move that file away`)
    if (existsSync(this.#replaced)) {
      throw new ZgqError(
        'ZGQ_EXISTS',
        `${basename(this.#replaced)} exists, and that name is needed for a moment: move it away`,
        { path: this.#replaced }
      )
    }
  }
}

/** Throws ZGQ_LOCKED if a process that holds a lock in `folder` may be at work. */
function expectDead(folder: string): void {
  const stages = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(STAGE_LOCK)) : []
  for (const name of [LOCK_NAME, ...stages]) expectNotHeld(folder, name)
}

function removeLock(folder: string, name: string): void {
  try {
    rmSync(join(folder, name), { force: true })
  } catch (error) {
    throw wrapWriteError(error, folder, 'remove the lock')
  }
}

function expectNotHeld(folder: string, name: string): void {
  const lock = readLock(folder, name)
  if (lock === undefined || !isHeld(lock)) return
  throw new ZgqError(
    'ZGQ_LOCKED',
    `process ${lock.pid} on ${lock.host} is building this index; wait for it, or remove ${name} in the folder if ` +
      'that process is not a build',
    { path: folder }
  )
}

/** Throws ZGQ_NOT_AN_INDEX for what no build made; a damaged index passes. */
function expectIndex(path: string): void {
  try {
    readCatalogue(path)
  } catch (cause) {
    if (!(cause instanceof ZgqError) || cause.code !== 'ZGQ_NOT_AN_INDEX') return
    throw new ZgqError(
      'ZGQ_NOT_AN_INDEX',
      `${basename(path)} exists and is not an index, so it is not replaced; move it away, or choose another output`,
      { path, cause }
    )
  }
}
