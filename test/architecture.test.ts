// The rules that keep the source in order: which way imports go, who may load what, how files open.

import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'

import { consoleUses, filesBelow, findCycle, importsOf, readSource } from './support/sources.ts'

/** Folders and files of src, each named by what follows `src/`; imports go from right to left, or stay on one level. */
const LEVELS = [
  ['platform'],
  [
    'abort',
    'errors',
    'types',
    'clock',
    'module-url',
    'require-package',
    'describe',
    'arguments',
    'options',
    'plain-object',
    'zone-sizes',
    'asar-path',
    'build-lock',
    'small-file',
    'counting-sort',
    'file-systems',
    'float-arrays',
    'open-options',
    'info-types',
    'change-types'
  ],
  ['format', 'kernels', 'threads'],
  ['input', 'catalogue', 'storage', 'quantizer', 'filter'],
  ['cache', 'live'],
  ['search'],
  ['pool', 'build', 'write', 'check', 'repair'],
  ['fold', 'remote'],
  ['index-changes'],
  ['zgq-index'],
  ['pack'],
  ['publish', 'artifacts'],
  ['queue'],
  ['index', 'entry zgq/check', 'entry zgq/pack', 's3']
]

/** Files of src/build, likewise. */
const BUILD_LEVELS = [
  // what a build is told, and how it keeps what it finds
  ['option-checks', 'build-options', 'fingerprint', 'stored-json', 'temporary-folder', 'artifact-folder'],
  // where and with what it works
  [
    'site',
    'sample-blocks',
    'artifact-names',
    'artifacts',
    'raw-arrays',
    'rounds',
    'resources',
    'default-zones',
    'shards',
    'folder-moves',
    'open-files',
    'working-folder',
    'input',
    'documents',
    'parts'
  ],
  // what it computes
  [
    'built-rows',
    'quantized-rows',
    'centroid-groups',
    'assigner',
    'row-sums',
    'split-zone',
    'order-zones',
    'split-large',
    'check-ids',
    'check-texts',
    'id-run',
    'write-documents'
  ],
  [
    'calibrate',
    'calibration-alignment',
    'calibration-copies',
    'calibration-curves',
    'calibration-gain',
    'calibration-geometry',
    'calibration-lists',
    'calibration-losses',
    'calibration-neighbours',
    'calibration-queries',
    'calibration-ranges',
    'calibration-scan',
    'calibration-steps',
    'calibration-thresholds',
    'calibration-usual',
    'stored-neighbours'
  ],
  // what a thread does
  ['task-context', 'sample', 'train', 'assign-part', 'join-parts', 'write-shard', 'written-rows', 'scan-shard'],
  ['tasks'],
  ['crew', 'build-worker'],
  // what is made of that
  [
    'given-columns',
    'identity',
    'read-input',
    'join-id-runs',
    'join-shards',
    'calibrate-site',
    'stages',
    'publish-stage'
  ],
  ['build-index', 'build-stage', 'calibrate-index']
]

const SOURCES = filesBelow('src', ['.ts'])
const IMPORTS = SOURCES.flatMap((file) => importsOf(file).map((found) => ({ file, ...found })))
const INTERNAL = IMPORTS.filter(({ target }) => target.startsWith('src/'))

/** `src/format/header.ts` is of unit `format`, `src/errors.ts` of unit `errors`; an entry is one of its own. */
function unitOf(file: string): string {
  if (file === 'src/check.ts') return 'entry zgq/check' // which has repair, too
  if (file === 'src/pack.ts') return 'entry zgq/pack'
  return file.split('/')[1].replace(/\.ts$/, '')
}

function levelOf(file: string): number {
  return LEVELS.findIndex((units) => units.includes(unitOf(file)))
}

const isOfBuild = (file: string): boolean => unitOf(file) === 'build' && file.split('/').length === 3

/** Level of a file in src/build, among these. */
function buildLevelOf(file: string): number {
  return BUILD_LEVELS.findIndex((names) => names.includes(basename(file, '.ts')))
}

/** One line for each import: what fails is then readable. */
function lines(imports: readonly { file: string; target: string }[]): string[] {
  return imports.map(({ file, target }) => `${file} -> ${target}`)
}

function graphOf(
  imports: readonly { file: string; target: string }[],
  name: (file: string) => string
): Map<string, string[]> {
  const graph = new Map<string, string[]>()
  for (const { file, target } of imports) {
    const [from, to] = [name(file), name(target)]
    if (from !== to || name === sameName) graph.set(from, [...(graph.get(from) ?? []), to])
  }
  return graph
}

const sameName = (file: string): string => file

describe('imports in src', () => {
  it('are found', () => {
    expect(lines(INTERNAL)).toContain('src/index.ts -> src/zgq-index.ts')
  })

  it('come from files that have a place in the order', () => {
    expect(SOURCES.filter((file) => levelOf(file) === -1)).toEqual([])
  })

  it('name files that exist, inside src', () => {
    const relative = IMPORTS.filter(({ target }) => target.endsWith('.ts'))
    expect(lines(relative.filter(({ target }) => !SOURCES.includes(target)))).toEqual([])
  })

  it('go one way', () => {
    expect(lines(INTERNAL.filter(({ file, target }) => levelOf(target) > levelOf(file)))).toEqual([])
  })

  it('go one way in src/build, too', () => {
    expect(SOURCES.filter((file) => isOfBuild(file) && buildLevelOf(file) === -1)).toEqual([])
    const inside = INTERNAL.filter(({ file, target }) => isOfBuild(file) && isOfBuild(target))
    expect(lines(inside.filter(({ file, target }) => buildLevelOf(target) > buildLevelOf(file)))).toEqual([])
  })

  it('form no cycle of files', () => {
    expect(findCycle(graphOf(INTERNAL, sameName))).toBeUndefined()
  })

  it('form no cycle of folders', () => {
    expect(findCycle(graphOf(INTERNAL, unitOf))).toBeUndefined()
  })

  it('of search do not reach the build, at any distance', () => {
    const reached = new Set(SOURCES.filter((file) => unitOf(file) === 'search'))
    for (const file of reached)
      for (const { target } of INTERNAL.filter((found) => found.file === file)) reached.add(target)
    expect([...reached].filter((file) => unitOf(file) === 'build')).toEqual([])
  })

  it('of the main entry do not load build or check at run time', () => {
    const reached = new Set(['src/index.ts'])
    for (const file of reached)
      for (const { target } of INTERNAL.filter((found) => found.file === file && !found.isTypeOnly)) reached.add(target)
    expect([...reached].filter((file) => ['build', 'check', 'repair'].includes(unitOf(file)))).toEqual([])
  })

  it('of kernels load nothing but kernels and the platform at run time', () => {
    expect(
      lines(
        IMPORTS.filter(
          ({ file, target, isTypeOnly }) =>
            unitOf(file) === 'kernels' && !isTypeOnly && !/^src\/(kernels|platform)\//.test(target)
        )
      )
    ).toEqual([])
  })

  it('of kernels take types from src/types.ts only', () => {
    const outside = INTERNAL.filter(({ file, target }) => unitOf(file) === 'kernels' && unitOf(target) !== 'kernels')
    expect(lines(outside.filter(({ target, isTypeOnly }) => isTypeOnly && target !== 'src/types.ts'))).toEqual([])
  })

  it('load better-sqlite3 at run time from src/catalogue only, and there', () => {
    const loading = IMPORTS.filter(({ target, isTypeOnly }) => /^better-sqlite3(\/|$)/.test(target) && !isTypeOnly)
    expect(new Set(loading.map(({ file }) => unitOf(file)))).toEqual(new Set(['catalogue']))
  })

  it('load BullMQ and its client of Redis from one file only, and there', () => {
    const loading = IMPORTS.filter(({ target, isTypeOnly }) => /^(bullmq|ioredis)(\/|$)/.test(target) && !isTypeOnly)
    expect(new Set(loading.map(({ file }) => file))).toEqual(new Set(['src/queue/load-bullmq.ts']))
  })
})

/** The published entries, as sources. */
const ENTRIES = [
  'src/index.ts',
  'src/build.ts',
  'src/check.ts',
  'src/pack.ts',
  'src/publish.ts',
  'src/queue.ts',
  'src/remote.ts',
  'src/s3.ts'
]
/** What tools and bench may take of src beyond the entries: importer, what its path begins with, why. */
const INTERNALS_USED = [
  ['tools/', 'src/describe.ts', 'the command writes counts as messages of the library do'],
  ['bench/kernel-loops.ts', 'src/kernels/', 'kernels without a search around them are what is measured'],
  ['bench/build-log.ts', 'src/build/', 'rounds of a log are those of a build; no entry offers them'],
  ['bench/build-plan.ts', 'src/build/', 'a build is cut as the build does it; no entry offers that'],
  ['bench/simulate-build.ts', 'src/build/', 'threads fit into memory as in a build; no entry offers that'],
  ['bench/step-probe.ts', 'src/', 'strategies of the probe are compared; no entry offers the choice']
] as const

describe('imports of tools and bench', () => {
  const outside = ['tools', 'bench']
    .flatMap((folder) => filesBelow(folder, ['.ts', '.mjs']))
    .flatMap((file) => importsOf(file).map((found) => ({ file, ...found })))
    .filter(({ target }) => target.startsWith('src/') && !ENTRIES.includes(target))

  it('reach only the public entries of src, or what a reason is given for', () => {
    const isListed = ({ file, target }: { file: string; target: string }): boolean =>
      INTERNALS_USED.some(([from, to]) => file.startsWith(from) && target.startsWith(to))
    expect(lines(outside.filter((found) => !isListed(found)))).toEqual([])
  })

  it.each(INTERNALS_USED)('of %s need %s: %s', (from, to) => {
    expect(lines(outside.filter(({ file, target }) => file.startsWith(from) && target.startsWith(to)))).not.toEqual([])
  })
})

describe('source files', () => {
  it.each(SOURCES)('%s opens with a comment that says what lives there', (file) => {
    expect(readSource(file)).toMatch(/^\/\/ \S/)
  })

  it('in src do not write to the console', () => {
    expect(SOURCES.filter((file) => consoleUses(file).length > 0)).toEqual([])
  })

  it('in src ask src/clock.ts for the time, nothing else', () => {
    const asking = SOURCES.filter((file) => /\b(Date\.now|new Date|performance\.\w+|hrtime)\b/.test(readSource(file)))
    expect(asking).toEqual(['src/clock.ts'])
  })

  it('in src, tools, test and format-spec are ASCII', () => {
    const files = ['src', 'tools', 'test', 'format-spec'].flatMap((folder) =>
      filesBelow(folder, ['.ts', '.mjs', '.js', '.json', '.md', '.py', '.sql'])
    )
    const foreign = files.flatMap((file) =>
      readSource(file)
        .split('\n')
        .flatMap((line, i) => (/^[\t\x20-\x7e\r]*$/.test(line) ? [] : [`${file}:${i + 1}`]))
    )
    expect(foreign).toEqual([])
  })
})

describe('the search for cycles', () => {
  it.each([
    [{ a: ['b'], b: ['c'], c: [] }, undefined],
    [{ a: ['b', 'c'], b: ['c'], c: [] }, undefined],
    [{ a: ['b'], b: ['a'] }, ['a', 'b', 'a']],
    [{ a: ['a'] }, ['a', 'a']],
    [{ a: ['b'], b: ['c'], c: ['d'], d: ['b'] }, ['b', 'c', 'd', 'b']]
  ])('finds in %j: %j', (graph, cycle) => {
    expect(findCycle(new Map<string, string[]>(Object.entries(graph)))).toEqual(cycle)
  })
})
