// The place of a build: taking it, publishing, full disks, crashes, replacing an index under its readers; nothing
// half-written, nothing lost.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { findOpenFile } from '../src/build/open-files.ts'
import { buildIndex, type BuildOptions } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { ZgqError } from '../src/errors.ts'
import type { OpenOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { codeOf } from './support/errors.ts'
import { faults, resetFaults } from './support/failing-fs.ts'
import { MAPPINGS } from './support/mappings.ts'
import { answerOf, batchesOf, buildSmall, DIM, errorFrom, placeIn, SMALL } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { fileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

vi.mock('node:fs', async (importOriginal) =>
  (await import('./support/failing-fs.ts')).failingFs(await importOriginal())
)
afterEach(resetFaults)

const temp = useTempFolder('publish', IN_MEMORY)
const place = (): ReturnType<typeof placeIn> => placeIn(temp)

describe('the place of the output', () => {
  it('is refused with ZGQ_EXISTS where an index is, which stays as it was', async () => {
    const { folder, output } = place()
    await buildSmall(output)
    const before = fileDigests(output)
    expect((await errorFrom(buildSmall(output, { seed: 2 }))).code).toBe('ZGQ_EXISTS')
    expect(readdirSync(folder)).toEqual(['index'])
    expect(fileDigests(output)).toEqual(before)
  })

  it('is taken over with force where an index is', async () => {
    const { folder, output } = place()
    const old = await buildSmall(output)
    const report = await buildSmall(output, { seed: 2, force: true })
    const index = ZgqIndex.open(output)
    const { indexId } = index.info()
    index.close()
    expect(readdirSync(folder)).toEqual(['index'])
    expect(report.indexId).not.toBe(old.indexId)
    expect(indexId).toBe(report.indexId)
  })

  if (process.platform === 'win32')
    it('is refused with ZGQ_LOCKED on Windows while the index there is open, and taken over once it is closed', async () => {
      const { folder, output } = place()
      await buildSmall(output)
      const index = ZgqIndex.open(output)
      const before = index.search(rowOf(SMALL, DIM, 0), { exact: true })
      const error = await errorFrom(buildSmall(output, { seed: 2, force: true }))
      expect([error.code, error.message]).toEqual(['ZGQ_LOCKED', expect.stringContaining('index.close()')])
      expect(index.search(rowOf(SMALL, DIM, 0), { exact: true })).toEqual(before)
      index.close()
      expect(readdirSync(folder)).toEqual(['index', 'index.building'])
      await buildSmall(output, { seed: 2, force: true })
      expect(readdirSync(folder)).toEqual(['index'])
    })
  else
    it('is taken over with force while the index there is open, which goes on to answer', async () => {
      const { output } = place()
      await buildSmall(output)
      const open = MAPPINGS.map((mapping) => ZgqIndex.open(output, { mapping, cacheBytes: 0 }))
      const before = open.map((index) => index.search(rowOf(SMALL, DIM, 0), { exact: true }))
      await buildIndex({ input: makeVectors('uniform', { count: 9, dim: 2 }, 5), dim: 2, output, force: true })
      const after = open.map((index) => index.search(rowOf(SMALL, DIM, 0), { exact: true }))
      for (const index of open) index.close()
      expect(after).toEqual(before)
    })

  const others: readonly (readonly [string, (output: string) => void])[] = [
    [
      'a folder with a file',
      (output) => {
        mkdirSync(output)
        writeFileSync(join(output, 'diary.txt'), 'dear diary')
      }
    ],
    [
      'an empty folder',
      (output) => {
        mkdirSync(output)
      }
    ],
    [
      'a folder whose catalogue.sqlite is something else',
      (output) => {
        mkdirSync(output)
        writeFileSync(join(output, 'catalogue.sqlite'), 'my own catalogue')
        writeFileSync(join(output, 'diary.txt'), 'dear diary')
      }
    ]
  ]

  it.each(others)('is refused with ZGQ_EXISTS where %s is', async (_, make) => {
    const { folder, output } = place()
    make(output)
    const before = fileDigests(output)
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_EXISTS')
    expect([readdirSync(folder), fileDigests(output)]).toEqual([['index'], before])
  })

  it.each(others)('is refused with ZGQ_NOT_AN_INDEX, force or not, where %s is', async (_, make) => {
    const { folder, output } = place()
    make(output)
    const before = fileDigests(output)
    expect((await errorFrom(buildSmall(output, { force: true }))).code).toBe('ZGQ_NOT_AN_INDEX')
    expect([readdirSync(folder), fileDigests(output)]).toEqual([['index'], before])
  })

  it.each([
    [false, 'ZGQ_EXISTS'],
    [true, 'ZGQ_NOT_AN_INDEX']
  ] as const)('is refused where a plain file is (force %s: %s)', async (force, code) => {
    const { folder, output } = place()
    writeFileSync(output, 'a plain file')
    expect((await errorFrom(buildSmall(output, { force }))).code).toBe(code)
    expect([readdirSync(folder), readFileSync(output, 'utf8')]).toEqual([['index'], 'a plain file'])
  })

  it('is refused with ZGQ_NOT_FOUND where the folder for it is missing', async () => {
    const { folder, output } = place()
    expect((await errorFrom(buildSmall(join(output, 'below')))).code).toBe('ZGQ_NOT_FOUND')
    expect(readdirSync(folder)).toEqual([])
  })

  it('may be a relative path', async () => {
    const { folder } = place()
    const work = process.cwd()
    process.chdir(folder)
    try {
      await buildSmall('index')
    } finally {
      process.chdir(work)
    }
    expect(readdirSync(folder)).toEqual(['index'])
  })
})

/** Starts a process that builds into `output` and waits for its second batch for ever. */
async function startBuild(output: string): Promise<ChildProcess> {
  const script = `
    import { buildIndex } from ${JSON.stringify(pathToFileURL(join(ROOT, 'dist/build.js')))}
    async function* batches() {
      yield { vectors: new Float32Array(8).fill(1) }
      process.stdout.write('building')
      process.stdin.resume()
      await new Promise(() => {})
    }
    await buildIndex({ input: batches(), dim: 8, output: ${JSON.stringify(output)}, force: true })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

describe('another build into the same output', () => {
  it('is refused with ZGQ_LOCKED while a process builds, which goes on', async () => {
    const { folder, output } = place()
    const child = await startBuild(output)
    try {
      expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_LOCKED')
      expect(readdirSync(folder)).toEqual(['index.building'])
      expect(readdirSync(join(folder, 'index.building'))).toContain('lock.json')
    } finally {
      await kill(child)
    }
  })

  it('is refused with ZGQ_LOCKED while this process builds', async () => {
    const { output } = place()
    const first = buildSmall(output)
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_LOCKED')
    await first
  })

  it('clears away what a killed build left', async () => {
    const { folder, output } = place()
    await kill(await startBuild(output))
    expect(readdirSync(folder)).toEqual(['index.building'])
    await buildSmall(output)
    expect(readdirSync(folder)).toEqual(['index'])
    await checkIndex(output)
  })

  it('is refused with ZGQ_LOCKED where a process of another host has the lock', async () => {
    const { folder, output } = place()
    leaveBuilding(folder, { pid: 1, host: 'another.example' })
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_LOCKED')
  })

  it('is refused with ZGQ_LOCKED where a third one cleared away a dead build and took the place meanwhile', async () => {
    const { folder, output } = place()
    leaveBuilding(folder, DEAD)
    const alive = { pid: process.ppid, host: hostname() }
    resetFaults()
    faults.afterCall = (call) => {
      if (faults.calls[call] !== 'readFileSync' || faults.calls.indexOf('readFileSync') !== call) return
      rmSync(join(folder, 'index.building'), { recursive: true })
      leaveBuilding(folder, alive)
    }
    const error = await errorFrom(buildSmall(output))
    resetFaults()
    expect(error.code).toBe('ZGQ_LOCKED')
    expect(readdirSync(folder)).toEqual(['index.building'])
    expect(JSON.parse(readFileSync(join(folder, 'index.building/lock.json'), 'utf8'))).toEqual(alive)
  })

  it.each([
    [
      'a folder that no build made',
      (path: string) => {
        mkdirSync(path)
        writeFileSync(join(path, 'diary.txt'), 'dear diary')
      }
    ],
    [
      'a plain file',
      (path: string) => {
        writeFileSync(path, 'dear diary')
      }
    ]
  ])('does not remove %s at OUTPUT.building', async (_, make) => {
    const { output } = place()
    make(`${output}.building`)
    await buildSmall(output).catch(() => undefined)
    expect(existsSync(`${output}.building`)).toBe(true)
  })

  it('does not remove a folder that is no index at OUTPUT.replaced', async () => {
    const { output } = place()
    await buildSmall(output)
    mkdirSync(`${output}.replaced`)
    writeFileSync(join(`${output}.replaced`, 'diary.txt'), 'dear diary')
    await buildSmall(output, { force: true }).catch(() => undefined)
    expect(existsSync(join(`${output}.replaced`, 'diary.txt'))).toBe(true)
  })
})

const DEAD = { pid: 2 ** 22 + 1, host: hostname() } // above the largest pid of Linux
const ALIVE = { pid: process.pid, host: hostname() }
const DEAD_REPLACING = { ...DEAD, isReplacing: true }

function leaveBuilding(folder: string, lock: { pid: number; host: string; start?: string }): void {
  mkdirSync(join(folder, 'index.building'))
  writeFileSync(join(folder, 'index.building', 'lock.json'), JSON.stringify(lock))
  writeFileSync(join(folder, 'index.building', 'run-0.rows'), 'half of something')
}

describe('what a crash leaves (spec, section 10)', () => {
  const openSeed = (path: string): unknown => {
    const index = ZgqIndex.open(path)
    try {
      index.search(new Float32Array(DIM), { exact: true })
      return index.info().build['seed']
    } finally {
      index.close()
    }
  }

  /** Builds an index with seed 1 under a name in a new folder. */
  const placeWith = async (...names: string[]): Promise<{ folder: string; output: string }> => {
    const { folder, output } = place()
    for (const [i, name] of names.entries()) {
      await buildSmall(output, { seed: i + 1 })
      renameSync(output, join(folder, `${name}-`))
    }
    for (const name of names) renameSync(join(folder, `${name}-`), join(folder, name))
    return { folder, output }
  }

  it('OUTPUT.building: a reader finds no index', () => {
    const { folder, output } = place()
    leaveBuilding(folder, DEAD)
    expect(codeOf(() => ZgqIndex.open(output))).toBe('ZGQ_NOT_FOUND')
  })

  it('OUTPUT.building: the next build removes it if its process is dead', async () => {
    const { folder, output } = place()
    leaveBuilding(folder, DEAD)
    await buildSmall(output)
    expect(readdirSync(folder)).toEqual(['index'])
  })

  it('OUTPUT.building: the next build is refused if its process lives, and changes nothing', async () => {
    const { folder, output } = place()
    leaveBuilding(folder, ALIVE)
    const before = fileDigests(join(folder, 'index.building'))
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_LOCKED')
    expect(readdirSync(folder)).toEqual(['index.building'])
    expect(fileDigests(join(folder, 'index.building'))).toEqual(before)
  })

  it('OUTPUT and OUTPUT.building: a reader opens OUTPUT', async () => {
    const { folder, output } = await placeWith('index')
    leaveBuilding(folder, DEAD)
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT and OUTPUT.building: the next build with force replaces both', async () => {
    const { folder, output } = await placeWith('index')
    leaveBuilding(folder, DEAD)
    await buildSmall(output, { seed: 9, force: true })
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(9)
  })

  it('OUTPUT and OUTPUT.building: the next build without force leaves both alone', async () => {
    const { folder, output } = await placeWith('index')
    leaveBuilding(folder, DEAD)
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_EXISTS')
    expect(readdirSync(folder)).toEqual(['index', 'index.building'])
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: a reader opens OUTPUT.replaced', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD_REPLACING)
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: a reader of a path that ends in a slash opens OUTPUT.replaced', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD_REPLACING)
    expect(openSeed(`${output}/`)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: the next build without force renames OUTPUT.replaced back', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD_REPLACING)
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_EXISTS')
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: the next build that fails has renamed OUTPUT.replaced back', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD_REPLACING)
    expect((await errorFrom(buildSmall(output, { input: new Float32Array(DIM).fill(NaN), force: true }))).code).toBe(
      'ZGQ_NON_FINITE'
    )
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(1)
  })

  it('OUTPUT.replaced and OUTPUT.building: the next build with force puts the new index there', async () => {
    const { folder, output } = await placeWith('index.replaced')
    leaveBuilding(folder, DEAD_REPLACING)
    await buildSmall(output, { seed: 9, force: true })
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(9)
  })

  it('OUTPUT and OUTPUT.replaced: a reader opens OUTPUT', async () => {
    const { output } = await placeWith('index.replaced', 'index')
    expect(openSeed(output)).toBe(2)
  })

  it('OUTPUT whose lock says so and OUTPUT.replaced: the next build removes OUTPUT.replaced', async () => {
    const { folder, output } = await placeWith('index.replaced', 'index')
    writeFileSync(join(output, 'lock.json'), JSON.stringify(DEAD_REPLACING))
    await buildSmall(output, { seed: 9, force: true })
    expect(readdirSync(folder)).toEqual(['index'])
    expect(openSeed(output)).toBe(9)
  })

  it('OUTPUT.replaced that no build left there: neither a reader nor a build touches it', async () => {
    const { folder, output } = await placeWith('index.replaced')
    const before = fileDigests(join(folder, 'index.replaced'))
    expect(codeOf(() => ZgqIndex.open(output))).toBe('ZGQ_NOT_FOUND')
    leaveBuilding(folder, ALIVE) // a build that is not replacing anything
    expect(codeOf(() => ZgqIndex.open(output))).toBe('ZGQ_NOT_FOUND')
    rmSync(join(folder, 'index.building'), { recursive: true })
    await buildSmall(output, { seed: 9 })
    expect((await errorFrom(buildSmall(output))).code).toBe('ZGQ_EXISTS')
    expect((await errorFrom(buildSmall(output, { force: true }))).code).toBe('ZGQ_EXISTS')
    expect(fileDigests(join(folder, 'index.replaced'))).toEqual(before)
    expect([openSeed(output), readdirSync(folder)]).toEqual([9, ['index', 'index.replaced']])
  })

  it('OUTPUT with a file of the user in it: force refuses to replace it', async () => {
    const { output } = await placeWith('index')
    writeFileSync(join(output, 'notes.txt'), 'mine')
    expect((await errorFrom(buildSmall(output, { force: true }))).code).toBe('ZGQ_EXISTS')
    expect([openSeed(output), readFileSync(join(output, 'notes.txt'), 'utf8')]).toEqual([1, 'mine'])
  })

  it.runIf(process.platform !== 'win32')(
    'OUTPUT that is a symbolic link: force refuses to replace it, also where it points to nothing',
    async () => {
      const { folder, output } = await placeWith('elsewhere')
      for (const target of ['elsewhere', 'nowhere']) {
        symlinkSync(join(folder, target), output)
        expect((await errorFrom(buildSmall(output, { force: true }))).code).toBe('ZGQ_EXISTS')
        rmSync(output)
      }
      expect(openSeed(join(folder, 'elsewhere'))).toBe(1)
    }
  )

  it.runIf(process.platform === 'linux')(
    'OUTPUT.building of a process whose number was given again: the next build removes it',
    async () => {
      const { folder, output } = place()
      leaveBuilding(folder, { ...ALIVE, start: '1' })
      await buildSmall(output)
      expect(readdirSync(folder)).toEqual(['index'])
    }
  )

  it('is noted by a check, which passes', async () => {
    const { folder, output } = await placeWith('index.replaced', 'index')
    leaveBuilding(folder, DEAD)
    const { ok, notes } = await checkIndex(output)
    expect({ ok, notes: notes.length }).toEqual({ ok: true, notes: 2 })
  })
})

describe('a disk that is full', () => {
  const batches = (): Partial<BuildOptions> => ({ input: batchesOf(SMALL, DIM, [100]), metric: 'cosine' })
  const shares = Array.from({ length: 41 }, (_, i) => i / 40)
  let needed = 0
  beforeAll(async () => {
    resetFaults()
    await buildSmall(place().output, batches())
    needed = faults.bytesWritten
  })

  it.each(shares)('after %d of the bytes gives ZGQ_IO and leaves nothing', async (share) => {
    const { folder, output } = place()
    faults.bytesLeft = Math.floor((needed - 1) * share)
    const error = await errorFrom(buildSmall(output, batches()))
    expect({ code: error.code, cause: Object(error.cause).code }).toEqual({ code: 'ZGQ_IO', cause: 'ENOSPC' })
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(shares)('after %d of the bytes leaves the index that was to be replaced', async (share) => {
    const { folder, output } = place()
    await buildSmall(output)
    const before = fileDigests(output)
    faults.bytesLeft = Math.floor((needed - 1) * share)
    expect((await errorFrom(buildSmall(output, { ...batches(), force: true }))).code).toBe('ZGQ_IO')
    expect([readdirSync(folder), fileDigests(output)]).toEqual([['index'], before])
  })
})

/** Where a link points; a descriptor may be gone by the time that it is looked at. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

describe('a build with force, where the file system fails it', () => {
  const seedOf = (path: string): unknown => {
    const index = ZgqIndex.open(path)
    try {
      index.search(new Float32Array(DIM), { exact: true })
      return index.info().build['seed']
    } finally {
      index.close()
    }
  }
  const old = temp.fresh('old')
  const replace = (output: string): Promise<unknown> =>
    buildSmall(output, { input: SMALL.subarray(0, 40 * DIM), seed: 2, force: true, zones: 3 })
  let calls: string[] = []

  const placeOld = (): { folder: string; output: string } => {
    const { folder, output } = place()
    cpSync(old, output, { recursive: true })
    resetFaults()
    return { folder, output }
  }

  beforeAll(async () => {
    await buildSmall(old, { zones: 3 })
    await replace(placeOld().output)
    calls = [...faults.calls]
  })

  /** Numbers of the calls of a build, of equal calls in a row only the first and the last. */
  const chosenCalls = (): number[] =>
    Array.from(calls.keys()).filter((i) => calls[i] !== calls[i - 1] || calls[i] !== calls[i + 1])

  /** Replaces an index while `fault` happens. */
  const interrupted = async (
    fault: Partial<typeof faults>
  ): Promise<{ folder: string; output: string; error: unknown }> => {
    const { folder, output } = placeOld()
    Object.assign(faults, fault)
    const error = await replace(output).then(
      () => undefined,
      (thrown: unknown) => thrown
    )
    resetFaults()
    return { folder, output, error }
  }

  // What fsync did not report, close does not either: closeSync is not made to fail.
  const failingCalls = (): number[] => chosenCalls().filter((call) => calls[call] !== 'closeSync')

  /** A build one of whose calls failed: what it left, and what it left open. */
  interface Failed {
    readonly failingCall: number
    readonly failed: string
    readonly error: unknown
    readonly seed: unknown
    readonly others: readonly string[]
    readonly open: readonly string[]
  }

  const openFiles = (): string[] =>
    process.platform !== 'linux'
      ? []
      : readdirSync('/proc/self/fd')
          .map((descriptor) => linkOf(`/proc/self/fd/${descriptor}`))
          .filter((path) => path.startsWith(temp.path))

  const all: Failed[] = []
  beforeAll(async () => {
    for (const failingCall of failingCalls()) {
      const { folder, output, error } = await interrupted({ failingCall })
      const open = openFiles().filter((path) => !all.some((before) => before.open.includes(path)))
      const seed = seedOf(output)
      await checkIndex(output)
      const others = readdirSync(folder).filter((name) => name !== 'index' && name !== 'index.replaced')
      all.push({ failingCall, failed: calls[failingCall], error, seed, others, open })
    }
  })

  it('leaves the old or the new index to be opened, whichever call fails', () => {
    const wrong = all.filter(({ failed, error, seed, others }) => {
      const isKept = seed === 2 || (seed === 1 && error !== undefined)
      // What cannot be removed stays, for the next build to clear away.
      return !isKept || (others.length > 0 && failed !== 'rmSync')
    })
    expect(all.length).toBeGreaterThan(50)
    expect(wrong).toEqual([])
  })

  it('closes what it opened, whichever call fails', () => {
    expect(all.filter(({ open }) => open.length > 0)).toEqual([])
  })

  it('rejects with a ZgqError, whichever call fails', () => {
    expect(all.filter(({ error }) => error !== undefined && !(error instanceof ZgqError))).toEqual([])
  })

  it('is not in the way of the next one if its process dies while it removes what it made of bad input', async () => {
    const bad = (output: string): Promise<unknown> =>
      buildSmall(output, { input: SMALL.slice().fill(NaN, 3999), force: true }).catch(() => undefined)
    const { folder, output } = placeOld()
    await bad(output)
    const dyingCall = faults.calls.lastIndexOf('rmSync')
    resetFaults()
    faults.dyingCall = dyingCall
    await bad(output)
    resetFaults()
    for (const lock of readdirSync(folder)
      .map((name) => join(folder, name, 'lock.json'))
      .filter(existsSync))
      writeFileSync(lock, JSON.stringify({ ...JSON.parse(readFileSync(lock, 'utf8')), ...DEAD }))
    await replace(output)
    expect(readdirSync(folder)).toEqual(['index'])
  })

  it('leaves an index that opens, and nothing that the next build does not clear away, wherever the process dies', async () => {
    // On Linux, crash-build.test.ts kills real processes: here every third call, and all that move or remove.
    const many = process.platform === 'linux' ? step(3) : 1
    const dying = chosenCalls().filter((call, i) => i % many === 0 || /^(rename|rm|unlink|mkdir)/.test(calls[call]))
    const wrong: unknown[] = []
    for (const dyingCall of dying) {
      const { folder, output } = await interrupted({ dyingCall })
      const left = readdirSync(folder)
      const seed = seedOf(output)
      for (const lock of left.map((name) => join(folder, name, 'lock.json')).filter(existsSync))
        writeFileSync(lock, JSON.stringify({ ...JSON.parse(readFileSync(lock, 'utf8')), ...DEAD }))
      await replace(output)
      const after = readdirSync(folder).filter((name) => name !== 'index')
      const strange = readdirSync(output).filter(
        (name) => !/^(catalogue\.sqlite|(vectors|codes|ids)-.*\.zgq)$/.test(name)
      )
      if (after.length > 0 || strange.length > 0 || (seed !== 1 && seed !== 2))
        wrong.push({ dyingCall, died: calls[dyingCall], left, seed, after, strange })
    }
    expect(wrong).toEqual([])
  })
})

describe('a reader that opens an index while it is replaced', () => {
  // Vectors mirrored at the origin: other bytes in files of one length, which then cannot tell a mixture of both.
  const [old, next] = [temp.fresh('old'), temp.fresh('next')]
  const answers = new Map<string, string>()

  beforeAll(async () => {
    await buildSmall(old)
    await buildSmall(next, { input: SMALL.map((value) => -value) })
    answers.set(answerOf(old, {}), 'old').set(answerOf(next, {}), 'new')
    const byteLengths = (path: string): string =>
      ['vectors', 'codes'].map((kind) => readFileSync(join(path, `${kind}-000001-00000.zgq`)).byteLength).join()
    if (byteLengths(old) !== byteLengths(next)) throw new Error('the two indexes have files of different lengths')
  })

  /**
   * Opens and searches an index; it is renamed away after one of the reader's calls, the next one put there after a
   * later one.
   */
  const foundWhile = (when: { away: number; back: number }, options: OpenOptions): string => {
    const { folder, output } = place()
    cpSync(old, output, { recursive: true })
    cpSync(next, join(folder, 'index.building'), { recursive: true })
    writeFileSync(join(folder, 'index.building', 'lock.json'), JSON.stringify(DEAD_REPLACING))
    resetFaults()
    let isAway = false
    faults.afterCall = (call) => {
      if (call === when.away && findOpenFile(output) === undefined) {
        renameSync(output, `${output}.replaced`)
        isAway = true
      }
      if (call !== when.back || !isAway) return
      renameSync(`${output}.building`, output)
      if (findOpenFile(`${output}.replaced`) === undefined) rmSync(`${output}.replaced`, { recursive: true })
    }
    try {
      return answers.get(answerOf(output, options)) ?? 'a wrong answer'
    } catch (error) {
      return `${String(Object(error).code)}: ${String(error)}`
    } finally {
      resetFaults()
    }
  }

  const CALLS = 14
  const ways = MAPPINGS.flatMap((mapping) => (['touch', 'none'] as const).map((verify) => ({ mapping, verify })))

  it.each(ways)(
    'finds the old one, wherever the builder dies between its renames ($mapping, verify $verify)',
    (options) => {
      const found = Array.from({ length: CALLS }, (_, away) => ({
        away,
        found: foundWhile({ away, back: Infinity }, options)
      }))
      expect(found.filter((one) => one.found !== 'old')).toEqual([])
    }
  )

  it.each(ways)(
    'finds the old or the new one, whenever the builder renames them ($mapping, verify $verify)',
    (options) => {
      const moments = Array.from({ length: CALLS * 4 }, (_, i) => ({
        away: Math.floor(i / 4),
        back: Math.floor(i / 4) + (i % 4)
      }))
      const found = moments.map((when) => ({ ...when, found: foundWhile(when, options) }))
      expect(found.filter((one) => one.found !== 'old' && one.found !== 'new')).toEqual([])
    }
  )
})
