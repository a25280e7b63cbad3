// Bundles of program.mjs by webpack, rollup, esbuild and vite, with zgq outside of the bundle, inside it, and inside
// with the entries of its threads and its process beside it. Made from a project that has the package installed; each
// lies in a folder of its own.

import { createRequire } from 'node:module'
import { join } from 'node:path'

/** What comes from npm for them, besides what this project has itself. */
export const BUNDLERS = ['webpack', 'rollup', '@rollup/plugin-node-resolve', '@rollup/plugin-commonjs']
const OUTSIDE = [/^zgq/]
/** These hold native code, and stay outside of any bundle. */
const NATIVE = ['koffi', 'better-sqlite3', 'h5wasm/node', 'mmap-io']
const ENTRIES = ['search-worker', 'build-worker', 'query-process']

/** The entries that a bundle is made of: the program, and those of zgq where they are wanted. */
const inputs = (folder, withEntries) => ({
  out: join(folder, 'program.mjs'),
  ...Object.fromEntries(withEntries ? ENTRIES.map((name) => [name, `zgq/${name}`]) : [])
})

async function webpack(folder, { out, isOutside, isModule = false }) {
  const pack = createRequire(join(folder, 'package.json'))('webpack')
  const ending = isModule ? 'mjs' : 'cjs'
  const stats = await new Promise((resolve, reject) => {
    pack(
      {
        mode: 'production',
        target: 'node20',
        context: folder,
        entry: './program.mjs',
        devtool: false,
        experiments: { outputModule: isModule },
        output: { path: out, filename: `out.${ending}`, module: isModule },
        externalsType: isModule ? 'module' : 'commonjs',
        externals: isOutside ? OUTSIDE : NATIVE
      },
      (error, found) => (error ? reject(error) : resolve(found))
    )
  })
  const { errors } = stats.toJson({ errors: true })
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'))
  return join(out, `out.${ending}`)
}

async function rollup(folder, { out, isOutside, withEntries }) {
  const require = createRequire(join(folder, 'package.json'))
  const { nodeResolve } = require('@rollup/plugin-node-resolve')
  const { default: commonjs } = require('@rollup/plugin-commonjs')
  const bundle = await require('rollup').rollup({
    input: inputs(folder, withEntries),
    external: isOutside ? OUTSIDE : NATIVE,
    onwarn() {},
    plugins: [nodeResolve({ rootDir: folder, preferBuiltins: true }), commonjs()]
  })
  await bundle.write({ dir: out, format: 'es', entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' })
  return join(out, 'out.mjs')
}

async function esbuild(folder, { out, isOutside, withEntries, format = 'cjs' }) {
  const ending = format === 'esm' ? '.mjs' : '.cjs'
  const { build } = await import('esbuild')
  await build({
    entryPoints: inputs(folder, withEntries),
    absWorkingDir: folder,
    bundle: true,
    platform: 'node',
    format,
    outdir: out,
    outExtension: { '.js': ending },
    logLevel: 'silent',
    external: isOutside ? ['zgq'] : NATIVE
  })
  return join(out, `out${ending}`)
}

/** A build for Node: `ssr`, which leaves packages outside unless it is told otherwise. */
async function vite(folder, { out, isOutside, withEntries }) {
  const { build } = await import('vite')
  await build({
    root: folder,
    configFile: false,
    logLevel: 'silent',
    ssr: isOutside ? {} : { noExternal: true, external: NATIVE },
    build: {
      ssr: true,
      outDir: out,
      rollupOptions: { input: inputs(folder, withEntries), output: { format: 'es', entryFileNames: '[name].mjs' } }
    }
  })
  return join(out, 'out.mjs')
}

/** Each with what to give it, and whether threads and queries work in it. */
export const BUNDLES = [
  ['webpack, zgq outside', webpack, { isOutside: true }, true],
  ['webpack, zgq inside', webpack, {}, true],
  ['webpack, zgq inside, ES modules', webpack, { isModule: true }, true],
  ['rollup, zgq outside', rollup, { isOutside: true }, true],
  ['rollup, zgq inside alone', rollup, {}, false],
  ['rollup, zgq inside, its entries', rollup, { withEntries: true }, true],
  ['esbuild, zgq outside', esbuild, { isOutside: true }, true],
  ['esbuild, zgq inside alone', esbuild, {}, false],
  ['esbuild, zgq inside, its entries', esbuild, { withEntries: true }, true],
  ['esbuild, zgq inside, its entries, ES modules', esbuild, { withEntries: true, format: 'esm' }, true],
  ['vite, zgq outside', vite, { isOutside: true }, true],
  ['vite, zgq inside alone', vite, {}, false],
  ['vite, zgq inside, its entries', vite, { withEntries: true }, true]
]
