// The command and the entries built from the sources with some numbers changed: one that cuts small inputs into many
// tasks and shards, one of another version.

import { readFileSync, mkdirSync, copyFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

import { build } from 'esbuild'

import { ROOT } from './sources.ts'

/** What stands in a source file, and what is to stand there. */
export interface Change {
  readonly file: string
  readonly from: string
  readonly to: string
}

/** Parts, blocks and shards of a few hundred KB: an input of some MB makes some ten of each. */
export const SMALL_PIECES: readonly Change[] = [
  { file: 'src/build/shards.ts', from: 'SMALLEST_BYTES = 2 ** 27', to: 'SMALLEST_BYTES = 2 ** 18' },
  { file: 'src/build/resources.ts', from: 'SMALLEST_PART_BYTES = 4 * MIB', to: 'SMALLEST_PART_BYTES = MIB / 8' },
  { file: 'src/build/sample-blocks.ts', from: 'SMALL_BLOCK_BYTES = 2 ** 23', to: 'SMALL_BLOCK_BYTES = 2 ** 19' }
]

/** As if another release had changed what tasks leave. */
export const OTHER_VERSION: readonly Change[] = [
  { file: 'src/build/identity.ts', from: 'STAGES_VERSION = ', to: 'STAGES_VERSION = 1000 + ' }
]

/** Bundles the command and what it starts; returns the folder that has them, as `dist` does. */
export async function buildOther(path: string, changes: readonly Change[]): Promise<string> {
  mkdirSync(path)
  symlinkSync(join(ROOT, 'node_modules'), join(path, 'node_modules'))
  copyFileSync(join(ROOT, 'package.json'), join(path, 'package.json'))
  const dist = join(path, 'dist')
  await build({
    absWorkingDir: ROOT,
    entryPoints: {
      build: 'src/build.ts',
      queue: 'src/queue.ts',
      zgq: 'tools/zgq.ts',
      'build-worker': 'src/build/build-worker.ts'
    },
    outdir: dist,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: Object.keys(dependenciesOf()),
    plugins: [
      {
        name: 'changes',
        setup({ onLoad }) {
          for (const file of new Set(changes.map((change) => change.file)))
            onLoad({ filter: new RegExp(`${file.replaceAll('.', '\\.')}$`) }, () => ({
              contents: changed(file, changes),
              loader: 'ts'
            }))
        }
      }
    ]
  })
  return dist
}

/** Packages of the library, its optional ones and those of tests; `#platform` is none. */
function dependenciesOf(): Record<string, string> {
  const { dependencies, peerDependencies, devDependencies }: Record<string, Record<string, string> | undefined> =
    JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return { ...dependencies, ...peerDependencies, ...devDependencies }
}

function changed(file: string, changes: readonly Change[]): string {
  let text = readFileSync(join(ROOT, file), 'utf8')
  for (const change of changes.filter((some) => some.file === file)) {
    if (text.split(change.from).length !== 2) throw new Error(`${file} does not have '${change.from}' once`)
    text = text.replace(change.from, change.to)
  }
  return text
}
