// Builds over which the power failed: an index that was published is there and whole, one that was replaced is there or
// its successor is, and a build that is made again makes what it should.

import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { crashImages, filesBelow, finalFiles, writeImage, type CrashImage } from './support/crash-images.ts'
import { readCallLog, shimEnv } from './support/crash-log.ts'
import { makeVectors } from './support/datasets.ts'
import { describeError } from './support/index-damage.ts'
import { printedBy } from './support/run-node.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('power-loss-build', IN_MEMORY)
const SEED = 7
const DIM = 4
const OPTIONS = { zones: 3, bits: 1, workers: 0 } as const

function inputOf(seed: number): string {
  const path = temp.fresh('input.fbin')
  writeFileSync(path, fbin(makeVectors('clustered', { count: 100, dim: DIM }, seed), DIM))
  return path
}

function answersOf(folder: string): string {
  try {
    const index = ZgqIndex.open(join(folder, 'index'))
    try {
      return JSON.stringify(index.search(new Float32Array(DIM).fill(0.5), { k: 9, exact: true }))
    } finally {
      index.close()
    }
  } catch (error) {
    return describeError(error)
  }
}

/** The system was started anew: what is not synced is no longer trusted, as on a real one. */
function startAnew(folder: string, { files }: CrashImage): void {
  for (const [path, bytes] of files)
    if (path.endsWith('recipe.json'))
      writeFileSync(
        join(folder, path),
        Buffer.from(bytes)
          .toString()
          .replace(/"run":"[^"]*"/, '"run":"another"')
      )
}

describe.runIf(process.platform === 'linux').each([false, true])(
  `a build over which the power fails (force: %s, seed ${SEED})`,
  (force) => {
    it('leaves what was acknowledged, and is made again', { timeout: 3_600_000 }, async () => {
      const [folder, base, log, marks] = ['folder', 'base', 'log', 'marks'].map((name) => temp.fresh(name))
      mkdirSync(folder)
      if (force) await buildIndex({ ...OPTIONS, input: inputOf(1), output: join(folder, 'index') })
      cpSync(folder, base, { recursive: true })
      const options = { ...OPTIONS, input: inputOf(2), force }
      printedBy(
        `import fs from 'node:fs'
         const marks = fs.openSync(${JSON.stringify(marks)}, 'a')
         await buildIndex(${JSON.stringify({ ...options, output: join(folder, 'index') })})
         fs.writeSync(marks, 'built\\n')
         print(1)`,
        shimEnv(temp, { folder, log, marks })
      )
      const calls = readCallLog(log)
      const [made, found] = [finalFiles(base, calls), filesBelow(folder)]
      expect(Array.from(made.keys()).sort()).toEqual(Array.from(found.keys()).sort())
      const [before, after] = [answersOf(base), answersOf(folder)]
      const wrong: unknown[] = []
      const seen = new Map<string, number>()
      for (const image of crashImages({ base, calls, count: step(80, 5000), seed: SEED })) {
        const place = temp.fresh('image')
        writeImage(place, image)
        const isBuilt = image.marks.length > 0
        const left = answersOf(place)
        startAnew(place, image)
        const again = isBuilt
          ? 'built'
          : await buildIndex({ ...options, output: join(place, 'index') }).then(() => answersOf(place), describeError)
        // Both may stand there, or neither in its place: then the message says which folder to move away.
        const isSafe = [after, 'built', 'ZGQ_EXISTS'].includes(again)
        if (!(isBuilt ? left === after : [before, after, 'ZGQ_NOT_FOUND'].includes(left)) || !isSafe)
          wrong.push({ image: image.number, point: image.point, mode: image.mode, left, again })
        const what = `${left === after ? 'new' : left === before ? 'old' : left}, ${again === after ? 'made' : again}`
        seen.set(what, (seen.get(what) ?? 0) + 1)
        rmSync(place, { recursive: true })
      }
      expect(wrong).toEqual([])
      expect(seen.get('new, built')).toBeGreaterThan(0)
      expect(seen.get('old, made')).toBeGreaterThan(5)
    })
  }
)
