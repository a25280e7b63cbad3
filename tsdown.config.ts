import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

import { transformSync } from 'esbuild'
import { defineConfig, type UserConfig } from 'tsdown'

const entry = {
  index: 'src/index.ts',
  build: 'src/build.ts',
  check: 'src/check.ts',
  pack: 'src/pack.ts',
  publish: 'src/publish.ts',
  queue: 'src/queue.ts',
  s3: 'src/s3.ts'
}
// Timings of plugins and advice about CommonJS are no reason to fail, in CI or elsewhere.
const quiet = { failOnWarn: false, checks: { legacyCjs: false, pluginTimings: false } } as const
/** Small packages that are taken in, so that who installs zgq does not install them. */
const inlined = ['fastest-levenshtein', 'fflate', 'srvx']
const shared = {
  ...quiet,
  platform: 'node',
  target: 'node20.19',
  dts: true,
  external: [
    '@aws-sdk/client-s3',
    'bullmq',
    'ioredis',
    'better-sqlite3',
    'koffi',
    'mmap-io',
    'msgpackr',
    'h5wasm',
    'hyparquet',
    'hyparquet-compressors'
  ]
} satisfies UserConfig

export default defineConfig([
  {
    ...shared,
    entry: { ...entry, zgq: 'tools/zgq.ts', demo: 'tools/demo.ts' },
    inlineOnly: inlined,
    hooks: { 'build:done': writeLicences },
    format: 'esm',
    outExtensions: () => ({ js: '.js', dts: '.d.ts' })
  },
  // Worker threads and processes run these, whatever their parent is.
  {
    ...shared,
    entry: {
      'search-worker': 'src/pool/search-worker.ts',
      'build-worker': 'src/build/build-worker.ts',
      'writer-worker': 'src/write/writer-worker.ts',
      'fold-worker': 'src/fold/fold-worker.ts',
      'query-process': 'src/catalogue/query-process.ts'
    },
    format: 'esm',
    dts: false,
    minify: true, // nobody imports them
    inlineOnly: inlined,
    clean: false,
    outExtensions: () => ({ js: '.js' })
  },
  // For browsers and Node alike: no Node module, and nothing to install beside it.
  ...(['esm', 'cjs'] as const).map((format): UserConfig => {
    const ending = format === 'esm' ? 'ts' : 'cts'
    return {
      ...quiet,
      entry: { remote: 'src/remote.ts' },
      platform: 'browser',
      inputOptions: { platform: 'browser' }, // tsdown takes CommonJS to be for Node
      target: 'es2022',
      minify: true,
      inlineOnly: inlined,
      format,
      dts: true,
      clean: false,
      outExtensions: () => ({ js: format === 'esm' ? '.js' : '.cjs', dts: `.d.${ending}` })
    }
  }),
  // `shims` gives import.meta.url to CommonJS.
  {
    ...shared,
    entry,
    inlineOnly: inlined,
    hooks: { 'build:done': shortenCommonJs },
    format: 'cjs',
    shims: true,
    clean: false,
    outExtensions: () => ({ js: '.cjs', dts: '.d.cts' })
  }
])

/** Their licences ask to be passed on with the code. */
function writeLicences(): void {
  const texts = inlined.map((name) => {
    const folder = `node_modules/${name}`
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
    if (file === undefined) throw new Error(`${folder} has no licence`)
    return `${name}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`
  })
  writeFileSync('dist/LICENCES.txt', texts.join(`\n${'-'.repeat(80)}\n\n`))
}

/** Takes out comments and white space, which the ES modules have; names stay, for stacks. */
function shortenCommonJs(): void {
  for (const name of readdirSync('dist').filter((file) => file.endsWith('.cjs'))) {
    const path = `dist/${name}`
    const { code } = transformSync(readFileSync(path, 'utf8'), { minifyWhitespace: true, target: 'node20.19' })
    writeFileSync(path, code)
  }
}
