// Installs and compiles mmap-io in test/mmap-io, for the Node that runs the tests. A failure is an error: a test that
// needs the package must not pass without it.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'

import type { MmapIo } from '../../src/storage/native-modules.ts'
import { ROOT } from './sources.ts'

const FOLDER = join(ROOT, 'test', 'mmap-io')
/** For NODE_PATH: where a program of its own then finds mmap-io. */
export const MMAP_IO_MODULES = join(FOLDER, 'node_modules')
/** Gone with node_modules, so it is there only after a whole installation. */
const STAMP = join(MMAP_IO_MODULES, '.installed-for')
const MADE_FOR = `ABI ${process.versions.modules} ${process.platform} ${process.arch}`

/**
 * The headers of Node 24 and newer need C++20; those before do not take it everywhere. The package itself asks for
 * C++11, with which none of them compiles.
 */
const STANDARD = Number(process.versions.node.split('.')[0]) >= 24 ? '-std=c++20' : '-std=c++17'

/** Installs unless that was done for this Node before. */
export function installMmapIo(): void {
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === MADE_FOR) return
  const prefix = dirname(dirname(process.execPath))
  const hasHeaders = existsSync(join(prefix, 'include', 'node', 'node.h')) // else node-gyp looks for them
  const { status, stdout, stderr, error } = spawnSync(
    'npm',
    ['ci', '--prefix', FOLDER, '--no-audit', '--no-fund', '--ignore-scripts=false', '--foreground-scripts'],
    {
      cwd: FOLDER,
      encoding: 'utf8',
      env: {
        ...process.env,
        PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
        CXXFLAGS: `${process.env['CXXFLAGS'] ?? ''} ${STANDARD}`,
        ...(hasHeaders ? { npm_config_nodedir: prefix } : {})
      }
    }
  )
  if (status !== 0)
    throw new Error(
      'npm ci in test/mmap-io failed (a C++ compiler, make and Python are needed): ' +
        `${error?.message ?? ''}\n${stdout}\n${stderr}`
    )
  writeFileSync(STAMP, MADE_FOR)
}

export function requireMmapIo(): MmapIo {
  const mmapIo: MmapIo = createRequire(join(FOLDER, 'package.json'))('mmap-io')
  return mmapIo
}
