// An index that is searched and written to for very long, and folds itself meanwhile: memory, descriptors and the bytes
// of its folder stay as they are, of the process that writes and of one that only reads.

import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { CYCLE, soakReader, soakWriter, type Soaked, type SoakSample } from './support/soak-programs.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { IS_TORTURE, step } from './support/torture.ts'

const temp = useTempFolder('fold-soak', IN_MEMORY)
const SEED = 17
const CYCLES = step(50, 10_000)
const SAMPLES = step(25, 400)
/** Part of the samples for which the index grows to its size, and caches fill. */
const WARM_UP = step(0.5, 0.2)
/** Part by which memory may have grown between the warm-up and the end: what noise there is. */
const GROWTH = step(0.3, 0.12)
const MOST_BYTES = 400 * 2 ** 20
/** Superseded files stay for a minute: folder bytes are at most so many times those of the index in the end. */
const FOLDER = step(8, 60)

/** Growth of a quantity over some samples, by the line of least squares through them, as part of their mean. */
function growthOf(samples: readonly SoakSample[], of: (sample: SoakSample) => number): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [mean(samples.map((_, i) => i)), mean(samples.map(of))]
  const product = samples.reduce((sum, sample, i) => sum + (i - x) * (of(sample) - y), 0)
  const square = samples.reduce((sum, _, i) => sum + (i - x) ** 2, 0)
  return ((product / square) * (samples.length - 1)) / y
}

interface Flatness {
  /** Parts of the mean. */
  readonly rss: number
  readonly heap: number
  readonly descriptors: readonly number[]
  readonly mostRss: number
}

function flatness({ samples }: Soaked): Flatness {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP))
  const descriptors = warm.map((sample) => sample.descriptors)
  return {
    rss: growthOf(warm, ({ rss }) => rss),
    heap: growthOf(warm, ({ heapUsed }) => heapUsed),
    descriptors: [Math.min(...descriptors), Math.max(...descriptors)],
    mostRss: Math.max(...warm.map(({ rss }) => rss))
  }
}

const MB = 2 ** 20

describe.runIf(process.platform === 'linux')('an index that is used for long', () => {
  it(
    `takes no more memory, descriptors or disk after ${CYCLES * CYCLE.searches} searches and ${CYCLES * CYCLE.writes} writes`,
    { timeout: 7_200_000 },
    async () => {
      const [path, ready, stop] = [temp.fresh('index'), temp.fresh('ready'), temp.fresh('stop')]
      const every = CYCLES / SAMPLES
      const writing = soakWriter({ path, seed: SEED, every, cycles: CYCLES, ready }, temp.fresh('writer.json'))
      let isOver = false
      void writing.then(
        () => (isOver = true),
        () => (isOver = true)
      )
      while (!existsSync(ready) && !isOver) await setTimeout(5)
      const reading = soakReader({ path, seed: SEED + 1, every: step(50, 1000), stop }, temp.fresh('reader.json'))
      reading.catch(() => undefined)
      const written = await writing.finally(() => {
        writeFileSync(stop, '')
      })
      const read = await reading
      const [writer, reader] = [flatness(written), flatness(read)]
      const folder = Math.max(...written.samples.map(({ folderBytes }) => folderBytes))
      console.log(
        `${written.searches} searches, ${written.writes} writes, ${written.commit} commits, generation ` +
          `${written.generation}, ${written.count} rows; ${read.searches} searches of the reader; most of the folder ` +
          `${(folder / MB).toFixed(1)} MB, files in the end ${(written.fileBytes / MB).toFixed(1)} MB; ` +
          JSON.stringify({ writer, reader })
      )
      expect(written.problems).toEqual([])
      expect(read.problems).toEqual([])
      for (const [what, { rss, heap, descriptors, mostRss }] of Object.entries({ writer, reader })) {
        // In the short run the index still grows, and its first folds have threads of their own.
        if (IS_TORTURE) expect(rss, `rss of the ${what}`).toBeLessThan(GROWTH)
        expect(mostRss, `most memory of the ${what}`).toBeLessThan(MOST_BYTES)
        expect(heap, `heap of the ${what}`).toBeLessThan(GROWTH)
        // A thread more or less of a fold, and files that were just taken over.
        expect(descriptors[1] - descriptors[0], `descriptors of the ${what}`).toBeLessThan(60)
      }
      expect(folder).toBeLessThan(written.fileBytes * FOLDER)
      await checkIndex(path)
      rmSync(path, { recursive: true })
    }
  )
})
