// A project with zgq as it stands in dist/, and a better-sqlite3 that is sound, broken or not there; run by any Node.

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { ROOT } from './sources.ts'

/** What is wrong with better-sqlite3. */
export type SqlitePackage = 'sound' | 'missing' | 'without a binary' | 'with a broken binary' | 'of version 13'

const NEEDS = ['koffi', 'msgpackr', 'hyparquet', 'hyparquet-compressors']

/** Makes a project in `folder`. */
export function makeProject(folder: string, sqlite: SqlitePackage): void {
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'zgq'), { recursive: true })
  if (!existsSync(join(ROOT, 'dist/index.js'))) throw new Error('dist/ is missing: run npm run build first')
  cpSync(join(ROOT, 'dist'), join(modules, 'zgq/dist'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(modules, 'zgq/package.json'))
  for (const name of NEEDS) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name), 'junction')
  if (sqlite === 'missing') return
  for (const name of ['bindings', 'file-uri-to-path']) {
    if (existsSync(join(ROOT, 'node_modules', name)))
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name), 'junction')
  }
  const target = join(modules, 'better-sqlite3')
  if (sqlite === 'sound') {
    symlinkSync(join(ROOT, 'node_modules/better-sqlite3'), target, 'junction')
    return
  }
  cpSync(join(ROOT, 'node_modules/better-sqlite3'), target, {
    recursive: true,
    filter: (path) => !/better-sqlite3[/\\](deps|src)/.test(path) && !path.endsWith('.node')
  })
  if (sqlite === 'with a broken binary') {
    for (const name of binaries()) {
      mkdirSync(join(target, name, '..'), { recursive: true })
      writeFileSync(join(target, name), 'no library at all')
    }
  }
  if (sqlite === 'of version 13') {
    const manifest = readFileSync(join(target, 'package.json'), 'utf8')
    writeFileSync(join(target, 'package.json'), manifest.replace(/"version": "[^"]+"/, '"version": "13.0.0"'))
    rmSync(join(target, 'lib'), { recursive: true }) // whoever loads it anyway fails otherwise
  }
}

/** Names of the files that are compiled, that of this platform first. */
export function binaries(): string[] {
  const here = `${process.platform}-${process.arch}.node`
  return readdirSync(join(ROOT, 'node_modules/better-sqlite3'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.node') && !/deps|test_extension/.test(name))
    .sort((a, b) => Number(b.endsWith(here)) - Number(a.endsWith(here)))
}

export interface ProjectRun {
  readonly printed: unknown
  readonly stderr: string
}

/** Runs an ES module in the project; `print` takes what the test wants to see. */
export function runInProject(
  folder: string,
  script: string,
  by: { readonly node?: string; readonly flags?: readonly string[] } = {}
): ProjectRun {
  const file = join(folder, 'program.mjs')
  writeFileSync(
    file,
    `import { createRequire } from 'node:module'
     const require = createRequire(import.meta.url)
     const print = (value) => { console.log(JSON.stringify(value)) }
     ${script}`
  )
  const { stdout, stderr, status, signal } = spawnSync(by.node ?? process.execPath, [...(by.flags ?? []), file], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 2 ** 26
  })
  if (status !== 0) throw new Error(`the program ended with ${String(status ?? signal)}: ${stderr}`)
  return { printed: JSON.parse(stdout), stderr }
}
