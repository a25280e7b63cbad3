// The tools of crash tests themselves: the log of calls is complete, images keep what was synced and lose anything
// else, and the two tell a database that syncs its commits from one that does not. Needs a C compiler.

import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'

import { crashImages, filesBelow, finalFiles, writeImage, type CrashImage } from './support/crash-images.ts'
import { marksOf, readCallLog, shimEnv, type LoggedCall, type ShimOptions } from './support/crash-log.ts'
import { runNode, type NodeRun } from './support/run-node.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const temp = useTempFolder('crash-images', IN_MEMORY)
const SEED = 14

interface Run extends NodeRun {
  readonly folder: string
  readonly base: string
  readonly calls: readonly LoggedCall[]
  readonly marks: string
}

/** Runs a script with `folder`, and `mark` for lines, under the shim; `prepare` fills the folder before. */
function run(script: string, faults: Pick<ShimOptions, 'fail' | 'kill'> = {}, prepare?: (folder: string) => void): Run {
  const [folder, base, marks, log] = ['folder', 'base', 'marks', 'log'].map((name) => temp.fresh(name))
  mkdirSync(folder)
  prepare?.(folder)
  cpSync(folder, base, { recursive: true })
  const source = `
    import fs from 'node:fs'
    const Sqlite = require('better-sqlite3')
    const folder = ${JSON.stringify(folder)}
    const marks = fs.openSync(${JSON.stringify(marks)}, 'a')
    const mark = (line) => { fs.writeSync(marks, line + '\\n') }
    ${script}`
  const ended = runNode(source, shimEnv(temp, { folder, log, marks, ...faults }))
  return { ...ended, folder, base, calls: readCallLog(log), marks }
}

function ran(script: string, prepare?: (folder: string) => void): Run {
  const ended = run(script, {}, prepare)
  if (ended.code !== 0) throw new Error(ended.stderr)
  return ended
}

/** The texts that a file has in images of a run, after a mark; undefined: the file is not there. */
function textsOf({ base, calls }: Run, name: string, after?: string): Set<string | undefined> {
  const found = new Set<string | undefined>()
  for (const { files, marks } of crashImages({ base, calls, count: 2000, seed: SEED }))
    if (after === undefined || marks.includes(after))
      found.add(files.has(name) ? Buffer.from(files.get(name)!).toString() : undefined)
  return found
}

const COMMITS = 60
const commits = (synchronous: 'FULL' | 'NORMAL' | 'OFF'): string => `
  const database = new Sqlite(folder + '/a.sqlite')
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = ${synchronous}')
  database.pragma('wal_autocheckpoint = 20')
  database.exec('CREATE TABLE numbers (number INTEGER PRIMARY KEY, filling BLOB)')
  fs.fsyncSync(fs.openSync(folder, 'r'))
  const insert = database.prepare('INSERT INTO numbers VALUES (?, randomblob(700))')
  mark('arm')
  for (let i = 1; i <= ${COMMITS}; i++) { insert.run(i); mark('committed ' + i) }
  database.close()
  print('closed')`

/** What is wrong with a database of commits in an image. */
function lossOf(image: CrashImage): string | undefined {
  const folder = temp.fresh('image')
  writeImage(folder, image)
  const committed = image.marks.filter((line) => line.startsWith('committed')).length
  const database = new Sqlite(join(folder, 'a.sqlite'))
  try {
    const integrity = database.prepare<[], string>('PRAGMA integrity_check').pluck().get()
    if (integrity !== 'ok') return `damaged: ${String(integrity)}`
    if (image.marks.length === 0) return undefined
    const numbers = database.prepare<[], number>('SELECT number FROM numbers ORDER BY number').pluck().all()
    if (numbers.some((number, i) => number !== i + 1)) return `not a prefix: ${numbers.join()}`
    return numbers.length < committed ? `lost: ${committed} were committed, ${numbers.length} are there` : undefined
  } catch (error) {
    const isLost = String(error).includes('no such table')
    return isLost ? `lost: ${committed} were committed, and the table` : `damaged: ${String(error)}`
  } finally {
    database.close()
    rmSync(folder, { recursive: true })
  }
}

function lossesOf({ base, calls }: Run, count: number): { images: number; losses: string[] } {
  let images = 0
  const losses: string[] = []
  for (const image of crashImages({ base, calls, count, seed: SEED })) {
    images++
    const loss = lossOf(image)
    if (loss !== undefined) losses.push(`image ${image.number} (${image.mode} of call ${image.point}) ${loss}`)
  }
  return { images, losses }
}

describe.runIf(process.platform === 'linux')('the log of calls', () => {
  it('of SQLite and Node gives the folder that they left', () => {
    const whole = ran(
      `${commits('FULL')}
       fs.mkdirSync(folder + '/b/c', { recursive: true })
       fs.writeFileSync(folder + '/b/c/d', 'one')
       fs.appendFileSync(folder + '/b/c/d', ' two')
       fs.copyFileSync(folder + '/b/c/d', folder + '/b/copy')
       fs.cpSync(folder + '/b', folder + '/e', { recursive: true })
       fs.writeFileSync(folder + '/old', 'four')
       fs.truncateSync(folder + '/b/copy', 5)
       fs.renameSync(folder + '/b/c', folder + '/f')
       fs.writeFileSync(folder + '/f/d', 'three')
       const file = fs.openSync(folder + '/f/g', 'wx+')
       fs.unlinkSync(folder + '/f/g')
       fs.writevSync(file, [Buffer.from('for'), Buffer.from('gotten')])
       const vector = fs.openSync(folder + '/f/h', 'wx')
       fs.writevSync(vector, [Buffer.from('xx'), Buffer.from('yy')], 1)
       await fs.promises.writeFile(folder + '/later', 'by a thread')
       fs.linkSync(folder + '/later', folder + '/linked')
       fs.rmSync(folder + '/b', { recursive: true })`,
      (folder) => {
        mkdirSync(join(folder, 'before'))
      }
    )
    const [made, found] = [finalFiles(whole.base, whole.calls), filesBelow(whole.folder)]
    expect(Array.from(made.keys()).sort()).toEqual(Array.from(found.keys()).sort())
    for (const [name, bytes] of found) expect(Buffer.from(made.get(name)!).equals(bytes), name).toBe(true)
    expect(found.size).toBeGreaterThan(9)
    expect(new Set(whole.calls.map(({ kind }) => kind)).size).toBe(9)
  })

  it('has marks in their place among the calls', () => {
    const { calls, marks } = ran(commits('FULL'))
    expect(marksOf(calls)).toEqual(readFileSync(marks, 'utf8').trimEnd().split('\n'))
    const second = calls.findIndex(
      ({ payload, kind }) => kind === 'mark' && `${Buffer.from(payload)}` === 'committed 2\n'
    )
    const before = calls.slice(0, second).map(({ kind, path }) => `${kind} ${path}`)
    expect(before.slice(before.lastIndexOf('mark ') + 1)).toEqual(
      expect.arrayContaining(['write a.sqlite-wal', 'sync a.sqlite-wal'])
    )
    expect(before.at(-1)).toBe('sync a.sqlite-wal')
  })
})

describe.runIf(process.platform === 'linux')(`images of a crash (seed ${SEED})`, () => {
  it('have or lack a file that was made, until it and its folder are synced', () => {
    const made = `
      const file = fs.openSync(folder + '/a', 'wx')
      fs.writeSync(file, 'text')
      fs.fsyncSync(file)`
    expect(textsOf(ran(made), 'a')).toEqual(new Set([undefined, '', '\0\0\0\0', 'text']))
    expect(textsOf(ran(`${made}; mark('synced')`), 'a', 'synced')).toEqual(new Set([undefined, 'text']))
    const syncedFolder = `${made}; fs.fsyncSync(fs.openSync(folder, 'r')); mark('synced')`
    expect(textsOf(ran(syncedFolder), 'a', 'synced')).toEqual(new Set(['text']))
  })

  it('have the old file, the new one, or an empty one, where it was replaced without a sync', () => {
    const prepare = `fs.writeFileSync(folder + '/a', 'old'); fs.fsyncSync(fs.openSync(folder + '/a', 'r+'))
      fs.fsyncSync(fs.openSync(folder, 'r')); mark('start')`
    const replaced = ran(
      `${prepare}; fs.writeFileSync(folder + '/b', 'new'); fs.renameSync(folder + '/b', folder + '/a')`
    )
    const texts = textsOf(replaced, 'a')
    for (const text of ['old', 'new', '']) expect(texts).toContain(text)
    const careful = ran(`${prepare}
      const file = fs.openSync(folder + '/b', 'wx'); fs.writeSync(file, 'new'); fs.fsyncSync(file)
      fs.renameSync(folder + '/b', folder + '/a')`)
    expect(textsOf(careful, 'a', 'start')).toEqual(new Set(['old', 'new']))
  })

  it('tear writes by sectors, and no other bytes', () => {
    const torn = textsOf(
      ran(`fs.writeFileSync(folder + '/a', '-'.repeat(2048)); fs.fsyncSync(fs.openSync(folder + '/a', 'r+'))
        fs.fsyncSync(fs.openSync(folder, 'r')); mark('start')
        fs.writeSync(fs.openSync(folder + '/a', 'r+'), 'x'.repeat(1200), 100)`),
      'a'
    )
    const shapes = Array.from(torn).filter((text) => text?.includes('x') && text.startsWith('-'))
    expect(shapes).toHaveLength(7) // three sectors, kept or not, but for none
    for (const text of shapes) expect(text).toMatch(/^-{100}(x{412}|-{412})(x{512}|-{512})(x{276}|-{276})-{748}$/)
  })
})

describe.runIf(process.platform === 'linux')('bare SQLite in WAL mode', () => {
  it('loses no commit with synchronous = FULL', () => {
    const { images, losses } = lossesOf(ran(commits('FULL')), step(900, 5000))
    expect(losses).toEqual([])
    expect(images).toBeGreaterThan(300)
  })

  it('loses commits with synchronous = OFF, and the images show it', () => {
    const { losses } = lossesOf(ran(commits('OFF')), 200)
    expect(losses.filter((loss) => loss.includes(' lost: ')).length).toBeGreaterThan(10)
    expect(losses.filter((loss) => loss.includes(' damaged: '))).not.toEqual([])
  })

  it('loses commits with synchronous = NORMAL, but only the last ones', () => {
    const { losses } = lossesOf(ran(commits('NORMAL')), 300)
    expect(losses.filter((loss) => loss.includes(' lost: ')).length).toBeGreaterThan(10)
    expect(losses.filter((loss) => !loss.includes(' lost: '))).toEqual([])
  })

  it('ends where it is told to, and has what it committed', () => {
    const seen = ['before:40', 'after:41', 'half:42'].map((kill) => {
      const { signal, folder, marks } = run(commits('FULL'), { kill })
      const database = new Sqlite(join(folder, 'a.sqlite'))
      const count = database.prepare<[], number>('SELECT count(*) FROM numbers').pluck().get() ?? 0
      database.close()
      const committed = readFileSync(marks, 'utf8').match(/committed/g)?.length ?? 0
      return { signal, isLost: count < committed, isKilled: committed > 0 && committed < COMMITS }
    })
    expect(seen).toEqual([0, 1, 2].map(() => ({ signal: 'SIGKILL', isLost: false, isKilled: true })))
  })

  it.each(['ENOSPC:30', 'ENOSPC:30+', 'EIO:31+', 'ENOSPC:30~'])('is told of %s', (fail) => {
    const { stderr, folder, marks } = run(commits('FULL'), { fail })
    expect(stderr).toMatch(fail.startsWith('EIO') ? /SQLITE_IOERR|disk I\/O error/ : /SQLITE_FULL|SQLITE_IOERR/)
    const database = new Sqlite(join(folder, 'a.sqlite'))
    const count = database.prepare<[], number>('SELECT count(*) FROM numbers').pluck().get() ?? 0
    database.close()
    const committed = readFileSync(marks, 'utf8').match(/committed/g)?.length ?? 0
    expect(committed).toBeGreaterThan(0)
    expect(count).toBeGreaterThanOrEqual(committed)
  })

  it('is told of EMFILE', () => {
    const { stderr } = run(`mark('arm'); new Sqlite(folder + '/a.sqlite')`, { fail: 'EMFILE:1' })
    expect(stderr).toContain('SQLITE_CANTOPEN')
  })
})
