// The entry zgq/remote as browsers get it: one file that asks nothing of Node, loads where there are web globals only,
// and is small.

import { build } from 'esbuild'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

import * as remote from '../src/remote.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('remote-bundle')

/** The bundle and its types, compressed. */
const MOST_BYTES = 150 * 2 ** 10

const NODE_GLOBALS = new Set(['Buffer', 'process', 'require', 'global', '__dirname', '__filename'])
/** What browsers and their workers have; `self` and `window` are not needed. */
const WEB_GLOBALS = {
  AbortController,
  AbortSignal,
  DOMException,
  Event,
  EventTarget,
  Headers,
  MessageChannel,
  Request,
  Response,
  TextDecoder,
  TextEncoder,
  URL,
  atob,
  clearTimeout,
  crypto,
  fetch,
  performance,
  queueMicrotask,
  setTimeout
}

/** Bundles code for browsers, in which everything has to be found; fails where it imports a Node module. */
async function bundle(contents: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    write: false,
    minify: true,
    platform: 'browser',
    target: 'es2022',
    format: 'iife',
    globalName: 'remote',
    logLevel: 'silent'
  })
  return outputFiles[0].text
}

const readDist = (name: string): string => readFileSync(join(ROOT, 'dist', name), 'utf8')

/** Lists what a script imports, and the globals of Node that it names. */
function nodeUses(script: string): string[] {
  const uses: string[] = []
  const look = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && NODE_GLOBALS.has(node.text) && !isName(node)) uses.push(node.text)
    if (ts.isImportDeclaration(node)) uses.push(node.getText())
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) uses.push(node.getText())
    ts.forEachChild(node, look)
  }
  look(ts.createSourceFile('bundle.js', script, ts.ScriptTarget.Latest, true))
  return uses
}

/** Tells the name of a member, which is no variable. */
function isName({ parent, ...node }: ts.Identifier): boolean {
  if (ts.isVariableDeclaration(parent) || ts.isShorthandPropertyAssignment(parent)) return false
  return 'name' in parent && Object(parent.name).pos === node.pos
}

/** A realm of its own that has what the web has, and nothing of Node. */
function webContext(): object {
  return createContext({ ...WEB_GLOBALS })
}

describe('the bundle for browsers', () => {
  it('imports nothing and names no global of Node', async () => {
    expect(nodeUses(await bundle(`export * from './src/remote.ts'`))).toEqual([])
  })

  it('would be found out if it did', async () => {
    await expect(bundle(`import { readFileSync } from 'node:fs'; console.log(readFileSync)`)).rejects.toThrow('node:fs')
    expect(nodeUses(`export const a = () => Buffer.from(b.process), c = { require: 1, global }`)).toEqual([
      'Buffer',
      'global'
    ])
    expect(nodeUses(`import 'node:fs'; import('x')`)).toEqual([`import 'node:fs';`, `import('x')`])
  })

  it('loads where there are web globals only', async () => {
    const context = webContext()
    runInContext(await bundle(`export * from './src/remote.ts'`), context)
    expect(runInContext('Object.keys(remote).sort().join()', context)).toBe(Object.keys(remote).sort().join())
  })

  it('has WebAssembly kernels and turns there', async () => {
    const context = webContext()
    const script = await bundle(
      `export { loadKernel } from './src/kernels/load-kernel.ts'; export { crc32, inNextTurn } from '#platform'`
    )
    runInContext(script, context)
    expect(runInContext('remote.loadKernel().kind', context)).toBe('wasm')
    expect(runInContext('remote.crc32(Uint8Array.of(1, 2, 3), 0)', context)).toBe(0x55bc801d)
    await expect(runInContext('new Promise((done) => remote.inNextTurn(() => done(7)))', context)).resolves.toBe(7)
  })
})

describe.each(['remote.js', 'remote.cjs'])('dist/%s', (name) => {
  it('imports nothing and names no global of Node', () => {
    expect(nodeUses(readDist(name))).toEqual([])
  })

  it('is small, with its types', () => {
    const types = readDist(name.replace(/js$/, 'd.ts').replace('cd.ts', 'd.cts'))
    expect(gzipSync(readDist(name)).length + gzipSync(types).length).toBeLessThanOrEqual(MOST_BYTES)
  })

  it('loads in Node, with all that the entry has', () => {
    const path = JSON.stringify(join(ROOT, 'dist', name))
    const keys = `Object.keys(loaded).filter((key) => key !== 'module.exports' && key !== '__esModule').sort().join()`
    const [file, script] = name.endsWith('.cjs')
      ? ['load.cjs', `const loaded = require(${path}); console.log(${keys})`]
      : [
          'load.mjs',
          `import { pathToFileURL } from 'node:url'; const loaded = await import(pathToFileURL(${path})); console.log(${keys})`
        ]
    writeFileSync(join(temp.path, file), script)
    const printed = execFileSync(process.execPath, [join(temp.path, file)], { encoding: 'utf8' })
    expect(printed.trim()).toBe(Object.keys(remote).sort().join())
  })
})

it('the types of the entry need no types of Node', () => {
  const folder = temp.fresh('browser-project')
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  symlinkSync(ROOT, join(folder, 'node_modules/zgq'), 'junction')
  writeFileSync(join(folder, 'app.ts'), `import * as remote from 'zgq/remote'\nexport const error = remote.ZgqError\n`)
  const options = {
    strict: true,
    noEmit: true,
    target: 'ES2022',
    lib: ['ES2022', 'DOM'],
    module: 'ESNext',
    moduleResolution: 'bundler',
    types: []
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['app.ts'] }))
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 })
})
