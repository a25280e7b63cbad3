// A calibration that is killed while it is stored: readers find the old one or the new one, from a folder that they may
// write or may not, and leave it as it was.

import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'

import { calibrateIndex } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { crashCopies, type CrashCopy } from './support/crash-copies.ts'
import { codeOf } from './support/errors.ts'
import { printedBy } from './support/run-node.ts'
import { buildSmall } from './support/small-build.ts'
import { fileDigests } from './support/stored-rows.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('crash-calibration')
const CATALOGUE = 'catalogue.sqlite'

const calibrationOf = (path: string): string => {
  const index = ZgqIndex.open(path)
  try {
    index.search(new Float32Array(8), { exact: true })
    return JSON.stringify(index.info().calibration)
  } finally {
    index.close()
  }
}

/** Forbids to write a folder and its files. */
function makeReadOnly(folder: string): void {
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o444)
  chmodSync(folder, 0o555)
}

function copyOf(folder: string): string {
  const copy = temp.fresh('copy')
  cpSync(folder, copy, { recursive: true })
  return copy
}

/** Opens a copy of an index, which must change nothing in its folder but this: what it joined it may seal. */
function openedAsItIs(original: string): string {
  const folder = copyOf(original)
  const before = fileDigests(folder)
  const isShared = existsSync(join(folder, `${CATALOGUE}-shm`)) && existsSync(join(folder, `${CATALOGUE}-wal`))
  const found = calibrationOf(folder)
  const after = fileDigests(folder)
  const names = Object.keys(before)
  const sealed = names.filter((name) => !name.startsWith(`${CATALOGUE}-`))
  // The index of the log is no content: SQLite makes it anew from the log.
  if (isShared) expect([names, sealed]).toContainEqual(Object.keys(after))
  else expect(after).toEqual(before)
  expect(calibrationOf(folder)).toBe(found)
  return found
}

describe.runIf(process.platform === 'linux')('a calibration that is killed while it is stored', () => {
  let copies: CrashCopy[] = []
  let [old, next] = ['', '']

  beforeAll(async () => {
    const index = temp.fresh('index')
    await buildSmall(index)
    old = calibrationOf(index)
    const queries = Array.from({ length: 20 * 8 }, (_, i) => ((i * 7919) % 101) / 10)
    copies = crashCopies(
      temp,
      { folder: index, withWrites: true },
      `await calibrateIndex(${JSON.stringify(index)}, { queries: Float32Array.from(${JSON.stringify(queries)}) })
       print(1)`
    )
    next = calibrationOf(index)
    expect(readdirSync(index).filter((name) => name.startsWith(CATALOGUE))).toEqual([CATALOGUE])
    chmodSync(temp.path, 0o755)
    chmodSync(join(copies[0].folder, '..'), 0o755)
  })

  it('goes through a journal, a log, and out of it again', () => {
    const calls = copies.map(({ call }) => call).join('\n')
    expect(new Set([old, next]).size).toBe(2)
    for (const ending of ['-journal', '-wal', ''])
      expect(calls).toMatch(new RegExp(`^(fsync|fdatasync) /${CATALOGUE}${ending}$`, 'm'))
    expect(calls).toMatch(/^unlink .*-journal$/m)
    expect(calls).toMatch(/^unlink .*-wal$/m)
  })

  it('leaves the old one or the new one, at whatever call, and readers change nothing but to seal it', () => {
    const found = copies.map(({ number, call, folder }) => ({ number, call, found: openedAsItIs(folder) }))
    const isNew = found.map((one) => one.found === next)
    expect(found.filter((one) => one.found !== old && one.found !== next)).toEqual([])
    // once committed it stays
    expect(isNew).toEqual(isNew.map((_, i) => i >= isNew.indexOf(true)))
  })

  it('leaves the same in a folder that another user may only read', () => {
    const wanted = copies.map(({ folder }) => calibrationOf(copyOf(folder)))
    const folders = copies.map((copy) => {
      const folder = temp.fresh('read-only')
      cpSync(copy.folder, folder, { recursive: true })
      makeReadOnly(folder)
      return folder
    })
    const before = folders.map(fileDigests)
    // The other user may not reach the repository: code and native modules are loaded before the change.
    const found = printedBy(`
      const folders = ${JSON.stringify(folders)}
      const calibrationOf = (folder) => {
        const index = ZgqIndex.open(folder)
        index.search(new Float32Array(8), { exact: true })
        const { calibration } = index.info()
        index.close()
        return JSON.stringify(calibration)
      }
      calibrationOf(folders[0])
      if (process.getuid() === 0) {
        process.setgid(65534)
        process.setuid(65534)
      }
      print(folders.map(calibrationOf))`)
    expect(found).toEqual(wanted)
    expect(folders.map(fileDigests)).toEqual(before)
    for (const folder of folders) chmodSync(folder, 0o755)
  })

  it('leaves what opens where the index of the log was not copied with it', () => {
    const shared = copies.filter(({ folder }) => existsSync(join(folder, `${CATALOGUE}-shm`)))
    expect(shared.length).toBeGreaterThan(3)
    for (const { folder } of shared) {
      const copy = temp.fresh('without')
      cpSync(folder, copy, { recursive: true })
      rmSync(join(copy, `${CATALOGUE}-shm`))
      expect([old, next]).toContain(openedAsItIs(copy))
    }
  })

  it('is stored anew by the next one, after which nothing is left beside the catalogue', async () => {
    const queries = new Float32Array(8 * 8).map((_, i) => i % 7)
    for (const { folder } of copies.filter(({ number }) => number % 7 === 0)) {
      const stored = await calibrateIndex(folder, { queries })
      expect(JSON.parse(calibrationOf(folder))).toEqual(stored)
      expect(readdirSync(folder).filter((name) => name.startsWith(CATALOGUE))).toEqual([CATALOGUE])
      await checkIndex(folder)
    }
  })
})

describe('a catalogue in WAL mode', () => {
  const marked = async (): Promise<string> => {
    const folder = temp.fresh('marked')
    await buildSmall(folder)
    const catalogue = readFileSync(join(folder, CATALOGUE))
    catalogue.fill(2, 18, 20)
    writeFileSync(join(folder, CATALOGUE), catalogue)
    return folder
  }

  it('is read, and no file is made beside it', async () => {
    const folder = await marked()
    openedAsItIs(folder)
    await checkIndex(folder)
    expect(readdirSync(folder).filter((name) => name.startsWith(CATALOGUE))).toEqual([CATALOGUE])
  })

  it.each(['-wal', '-shm', '-journal'])('or not, with a stray empty %s beside it, is read as it is', async (ending) => {
    for (const folder of [await marked(), temp.fresh('sealed')]) {
      if (!existsSync(folder)) await buildSmall(folder)
      writeFileSync(join(folder, `${CATALOGUE}${ending}`), '')
      openedAsItIs(folder)
    }
  })

  it('is ZGQ_CORRUPT where what stands beside it is no file, and not waited for', async () => {
    const folder = await marked()
    mkdirSync(join(folder, `${CATALOGUE}-wal`))
    expect(codeOf(() => ZgqIndex.open(folder))).toBe('ZGQ_CORRUPT')
  })

  it('is read while another connection has it open and changes it', async () => {
    const folder = temp.fresh('live')
    await buildSmall(folder)
    const writer = new Sqlite(join(folder, CATALOGUE))
    try {
      writer.pragma('journal_mode = WAL')
      writer.exec('CREATE TABLE notes (note); DROP TABLE notes; BEGIN IMMEDIATE')
      calibrationOf(folder)
      writer.exec('COMMIT')
      calibrationOf(folder)
    } finally {
      writer.close()
    }
  })

  it('is refused where its journal names another file, which stays', async () => {
    const folder = await marked()
    const victim = join(folder, 'victim')
    writeFileSync(victim, 'mine')
    writeFileSync(
      join(folder, `${CATALOGUE}-journal`),
      Buffer.concat([Buffer.from(victim), Buffer.alloc(8), Buffer.from('d9d505f920a163d7', 'hex')])
    )
    expect(codeOf(() => ZgqIndex.open(folder))).toBe('ZGQ_CORRUPT')
    expect(readFileSync(victim, 'utf8')).toBe('mine')
  })
})
