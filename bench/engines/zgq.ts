// ZGQ itself, by its public entries: with default options, and without codes. Rows over nprobe, and over the recall
// asked for where it can be.

import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { loadZgq, loadZgqBuild, type ZgqIndex } from '../packages.ts'
import { BUILD_THREADS, type Engine, type Knob, type OpenEngine, type OpenInput } from './engine.ts'

const RECALLS = [0.8, 0.9, 0.95, 0.98, 0.99] as const

export function zgq(bits: 0 | undefined): Engine {
  const file = (folder: string): string => join(folder, 'index.zgq')
  return {
    name: bits === 0 ? 'zgq-bits0' : 'zgq',
    packageName: 'zgq',
    settings: bits === 0 ? 'bits 0: plain scan of float32 zones' : 'default options',
    buildThreads: BUILD_THREADS,
    cold: true,
    async build({ path, metric, folder, threads = BUILD_THREADS }) {
      rmSync(file(folder), { recursive: true, force: true })
      const { buildIndex } = await loadZgqBuild()
      await buildIndex({
        input: path,
        output: file(folder),
        metric,
        workers: threads,
        ...(bits === undefined ? {} : { bits })
      })
    },
    async open(input) {
      const { ZgqIndex } = await loadZgq()
      return openZgq(ZgqIndex.open(file(input.folder)), input)
    }
  }
}

function openZgq(index: ZgqIndex, { queries, k, isCold }: OpenInput): OpenEngine {
  const nprobes = powersUpTo(index.info().zones).sort((a, b) => a - b)
  const recalls = RECALLS.filter((recall) => supports(() => index.search(queries[0], { k, recall })))
  const options = [{ k }, ...nprobes.map((nprobe) => ({ k, nprobe })), ...recalls.map((recall) => ({ k, recall }))]
  const knobs = [
    { label: 'default', sweep: 'default' },
    ...nprobes.map((nprobe): Knob => ({ label: `nprobe ${nprobe}`, sweep: 'nprobe' })),
    ...recalls.map((recall): Knob => ({ label: `recall ${recall}`, sweep: `recall ${recall}` }))
  ]
  let chosen = 0
  let ioRounds = 0
  let hits: readonly { readonly id: number }[] = []
  return {
    knobs,
    select(knob) {
      chosen = knob
    },
    search(query) {
      if (isCold) {
        const explained = index.search(queries[query], { ...options[chosen], explain: true })
        hits = explained.hits
        ioRounds = explained.explain.ioRounds
      } else {
        hits = index.search(queries[query], options[chosen])
      }
    },
    found: () => hits.map(({ id }) => id),
    ioRounds: () => ioRounds,
    close() {
      index.close()
    }
  }
}

/** 1, 2, 4, ... and the middles from 8 on, up to all zones. */
function powersUpTo(zones: number): number[] {
  const nprobes = [zones]
  for (let nprobe = 1; nprobe < zones; nprobe *= 2) {
    nprobes.push(nprobe)
    if (nprobe >= 8 && nprobe * 1.5 < zones) nprobes.push(nprobe * 1.5)
  }
  return nprobes
}

function supports(search: () => unknown): boolean {
  try {
    search()
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ZGQ_UNSUPPORTED' || error.code === 'ZGQ_RECALL'))
      return false
    throw error
  }
}
