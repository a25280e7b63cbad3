import { defineConfig, type UserConfig } from 'tsdown'

const entry = {
  index: 'src/index.ts',
  build: 'src/build.ts',
  check: 'src/check.ts',
  pack: 'src/pack.ts',
  publish: 'src/publish.ts',
  s3: 'src/s3.ts'
}
// Timings of plugins and advice about CommonJS are no reason to fail, in CI or elsewhere.
const quiet = { failOnWarn: false, checks: { legacyCjs: false, pluginTimings: false } } as const
const shared = {
  ...quiet,
  platform: 'node',
  target: 'node20.19',
  dts: true,
  external: [
    '@aws-sdk/client-s3',
    'better-sqlite3',
    'koffi',
    'mmap-io',
    'msgpackr',
    'fflate',
    'h5wasm',
    'hyparquet',
    'hyparquet-compressors'
  ]
} satisfies UserConfig

export default defineConfig([
  {
    ...shared,
    entry: { ...entry, zgq: 'tools/zgq.ts', demo: 'tools/demo.ts' },
    inlineOnly: ['fastest-levenshtein'],
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
    clean: false,
    outExtensions: () => ({ js: '.js' })
  },
  // `shims` gives import.meta.url to CommonJS.
  { ...shared, entry, format: 'cjs', shims: true, clean: false, outExtensions: () => ({ js: '.cjs', dts: '.d.cts' }) }
])
