// npm run native: hnswlib-node once more, compiled from its npm package for this machine's processor, in native/ below
// this folder.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FLAGS = '-march=native -O3'

/** Finds the folder of the compiled package; throws where it has not been compiled. */
export function nativeHnswlibFolder(): string {
  const folder = fileURLToPath(new URL('native', import.meta.url))
  if (!existsSync(join(folder, 'node_modules', 'hnswlib-node')))
    throw new Error('hnswlib-node is not compiled for this processor; run `npm run native`')
  return folder
}

function compile(): void {
  const folder = fileURLToPath(new URL('native', import.meta.url))
  const own: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(new URL('package.json', import.meta.url), 'utf8')
  )
  const name = 'hnswlib-node'
  mkdirSync(folder, { recursive: true })
  const manifest = { private: true, dependencies: { [name]: own.dependencies[name] }, allowScripts: { [name]: true } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 1) + '\n')
  // The flags reach the compiler through node-gyp, which the package's install script runs.
  execFileSync('npm', ['install', '--no-package-lock', '--foreground-scripts'], {
    cwd: folder,
    stdio: 'inherit',
    env: { ...process.env, CXXFLAGS: FLAGS }
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) compile()
