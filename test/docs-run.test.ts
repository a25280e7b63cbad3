// Every code block of README.md and docs/ is run, or the page says why not: `<!-- not run: WHY -->` above the block.
// The programs of a page are one program, in the order in which they stand. Commands run in a shell, on real files.

import { PutObjectCommand } from '@aws-sdk/client-s3'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startStaticServer } from '../tools/static-server.ts'
import {
  blocksOf,
  fencesOf,
  linkModules,
  makeCommands,
  programsOf,
  runBeside,
  runCommands,
  runProgram,
  type DocBlock
} from './support/doc-blocks.ts'
import { buildDocIndexes, writeDocFiles } from './support/doc-files.ts'
import { writeOtherStores, writeRollupPlugins, writeWebWorkers } from './support/doc-stand-ins.ts'
import { startRedis } from './support/redis-server.ts'
import { S3_ENVIRONMENT, startBucket } from './support/s3-proxy.ts'
import { filesBelow } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('docs-run')
const COMMANDS = join(temp.path, 'commands')
// docs/api is made from docstrings: its blocks are signatures, not programs.
const PAGES = ['README.md', ...filesBelow('docs', ['.md']).filter((page) => !page.startsWith('docs/api/'))]
const wasRun = new Set<string>()
// Of the bucket in docs, and of stores other than AWS.
const bucket = await startBucket(temp.fresh('s3'), 'my-bucket')
const BUCKET_ENVIRONMENT = {
  ...S3_ENVIRONMENT,
  AWS_ENDPOINT_URL: bucket.endpoint,
  // Node 20, which later versions of the SDK will not run on.
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true'
}
afterAll(() => bucket.close())
// Of builds on many machines.
const redis = await startRedis()
const nameOf = ({ page, line }: DocBlock): string => `${page}:${line}`

/** The blocks of a page that are to be run. */
function take(page: string, language: string): DocBlock[] {
  const blocks = blocksOf(page).filter((block) => block.language === language && block.notRun === undefined)
  expect(blocks).not.toEqual([])
  return blocks
}

const codeOf = (blocks: readonly DocBlock[]): string => blocks.map(({ code }) => code).join('\n')

function noteRun(blocks: readonly DocBlock[]): void {
  for (const block of blocks) wasRun.add(nameOf(block))
}

/** Makes a folder with the files that pages read, and with indexes of them where a page goes on with some. */
function makeFolder(from: 'files' | 'indexes'): string {
  const folder = temp.fresh('page')
  cpSync(join(temp.path, from), folder, { recursive: true })
  linkModules(folder)
  return folder
}

/** Runs the programs of a page; returns what they printed. */
function runPrograms(page: string, folder = makeFolder('files')): string {
  const printed = programsOf(take(page, 'js')).map((blocks, i) => {
    const text = runProgram(`program-${i}.mjs`, codeOf(blocks), folder)
    noteRun(blocks)
    return text
  })
  return printed.join('')
}

/** A worker and a build, one of which is an example: the worker does the build's tasks. */
async function runQueueExample(example: string, folder: string): Promise<void> {
  const [variable = ''] = /^ZGQ_QUEUE=\S+ /.exec(example) ?? []
  const command = example.slice(variable.length)
  const place = /--(?:queue|store) .*/.exec(command)?.[0] ?? ''
  const isWorker = command.startsWith('zgq worker')
  const worker = isWorker ? command : `zgq worker ${place}`
  const build = isWorker ? `zgq build vectors.fbin queue.zgq ${place}` : command
  const code = `export ZGQ_QUEUE ${variable}\n${worker} & worker=$!\n${build}\nkill $worker\n`
    .replaceAll('/mnt/shared', 'shared')
    .replaceAll(/rediss?:\/\/\S+/g, redis.url)
  mkdirSync(join(folder, 'shared'))
  expect(await runBeside({ commands: COMMANDS, code }, folder, BUCKET_ENVIRONMENT)).toContain('built ')
}

/** Does work while a server has a folder; `here` puts its address in the place of that in docs. */
async function serving(folder: string, work: (here: (code: string) => string) => Promise<void>): Promise<void> {
  const server = await startStaticServer({ path: folder, host: '127.0.0.1', port: 0 })
  try {
    await work((code) => code.replaceAll('https://example.org/', server.url))
  } finally {
    await server.close()
  }
}

beforeAll(async () => {
  makeCommands(COMMANDS)
  const [files, indexes] = [join(temp.path, 'files'), join(temp.path, 'indexes')]
  mkdirSync(files)
  writeDocFiles(files)
  cpSync(files, indexes, { recursive: true })
  await buildDocIndexes(indexes)
  const object = { Bucket: 'my-bucket', Key: 'vectors.fbin', Body: readFileSync(join(files, 'vectors.fbin')) }
  await bucket.client().send(new PutObjectCommand(object))
  runCommands('zgq search docs.zgq queries.fbin --exact --out truth.ivecs\n', indexes, COMMANDS)
  cpSync(join(indexes, 'truth.ivecs'), join(files, 'truth.ivecs'))
})

describe('programs', () => {
  it('of README.md print what their comments say', async () => {
    const folder = makeFolder('files')
    const printed: string[] = []
    await serving(folder, async (here) => {
      for (const blocks of programsOf(take('README.md', 'js'))) {
        printed.push(await runBeside({ program: 'readme.mjs', code: here(codeOf(blocks)) }, folder))
        noteRun(blocks)
      }
    })
    expect(printed).toHaveLength(2)
    expect(printed[0]).toMatch(/^\[\n? *\{ id: 0, distance: /)
    // From disk, and from the server.
    expect(printed[1].match(/id: 'a\.md#0',[^]*?text: 'second'/g)).toHaveLength(2)
  })

  it('of docs/remote.md search on a server, in a worker, in a file and in a bucket', async () => {
    const folder = makeFolder('indexes')
    linkModules(folder, ['@aws-sdk'])
    const blocks = take('docs/remote.md', 'js')
    const [task, open, worker, page, source, publish] = blocks
    const [pack, send] = take('docs/remote.md', 'sh')
    const run = async (code: string): Promise<string> =>
      await runBeside({ program: 'program.mjs', code }, folder, BUCKET_ENVIRONMENT)
    await serving(folder, async (here) => {
      runCommands(pack.code, folder, COMMANDS)
      expect(await run(here(task.code))).toMatch(/^(\S+#\d [01]\.\d+ passage [024]\n){3}$/)
      expect(await run(here(open.code))).toMatch(
        /^3000 [0-9a-f]{64}\n3 \{ requests: \d+, bytes: \d+, rounds: [12] \}\n$/
      )
      writeWebWorkers(folder, 'browser.mjs')
      writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
      writeFileSync(join(folder, 'searcher.js'), `import './browser.mjs'\n${here(worker.code)}`)
      const end = `worker.addEventListener('message', () => worker.terminate())`
      expect(await run(`import './browser.mjs'\n${page.code}\n${end}`)).toMatch(/^\[( 'passage \d',?){3} \]\n$/)
    })
    expect(await run(source.code)).toBe('3\n')
    expect(await run(publish.code)).toBe('1 true 0\n3\n')
    const sent = await runBeside({ commands: COMMANDS, code: send.code }, folder, BUCKET_ENVIRONMENT)
    expect(sent).toContain('has this index already')
    noteRun([...blocks, pack, send])
  })

  it('of docs/building-on-many-machines.md build with workers, and clean up', async () => {
    const page = 'docs/building-on-many-machines.md'
    const folder = makeFolder('files')
    const here = (code: string): string =>
      code.replaceAll('redis://127.0.0.1', redis.url).replaceAll('redis-cli', `redis-cli -p ${redis.port}`)
    const [build, clear] = take(page, 'sh')
    const [program] = take(page, 'js')
    expect(await runBeside({ commands: COMMANDS, code: here(build.code) }, folder)).toContain('built docs.zgq\n')
    expect(await runBeside({ program: 'program.mjs', code: here(program.code) }, folder)).toBe('3000\n')
    expect(await redis.keys()).toEqual([])
    for (const left of ['docs.zgq.building', 'shared/build-0']) mkdirSync(join(folder, left))
    await redis.command('set', 'bull:zgq:id', '1')
    await runBeside({ commands: COMMANDS, code: here(clear.code) }, folder)
    expect(existsSync(join(folder, 'docs.zgq.building'))).toBe(false)
    expect(readdirSync(join(folder, 'shared'))).toEqual(['vectors.fbin'])
    expect(await redis.keys()).toEqual([])
    noteRun([build, program, clear])
  })

  it('of docs/building.md make an index, which those of docs/searching.md search', () => {
    const folder = makeFolder('files')
    expect(runPrograms('docs/building.md', folder)).toBe('5000 20\n')
    expect(runPrograms('docs/searching.md', folder)).toMatch(/^0 \d+ \d+\n/)
  })

  it('of docs/documents.md print what their comments say', () => {
    const printed = runPrograms('docs/documents.md')
    expect(printed.split('\n').slice(0, 5)).toEqual([
      expect.stringMatching(/^zoo\.md#0 0\.\d+ The bear sleeps all winter\.$/),
      expect.stringMatching(/^old\/bread\.md#0 0\.\d+ Dough rests overnight\.$/),
      'zoo.md#0',
      'zoo.md#1',
      expect.stringMatching(/^zoo\.md#1 26 \{$/)
    ])
    expect(printed).toContain('\n1 1\n')
    expect(printed).toMatch(/plan: 'matches'.*\n? *rowsMatched: 1/)
  })

  it('of docs/changing.md print what their comments say', () => {
    const printed = runPrograms('docs/changing.md')
    expect(printed.split('\n').slice(0, 7)).toEqual([
      'The bear sleeps all winter.',
      '1 4',
      '2 rows',
      '3',
      '2',
      'true',
      'true'
    ])
    expect(printed).toMatch(/commit: \d+,\s+freshRows: 3,\s+deltaRows: 0,/)
  })

  it('of docs/repairing.md print what stands below them', () => {
    const [wanted] = take('docs/repairing.md', '')
    const printed = runPrograms('docs/repairing.md')
    const ids = /\[\n?[^\]]+\]/
    expect(printed.replace(ids, '[ ... ]')).toBe(`${wanted.code}1000\n`)
    expect(ids.exec(printed)?.[0].match(/\d+/g)).toHaveLength(16)
    noteRun([wanted])
  })

  it('of docs/files.md replace an index that is open', () => {
    expect(runPrograms('docs/files.md', makeFolder('indexes'))).toBe('')
  })
})

describe('docs/moving.md', () => {
  const [task, own, ...recipes] = take('docs/moving.md', 'js')

  it('does its task with ZGQ', () => {
    expect(runProgram('own.mjs', codeOf([task, own]), makeFolder('files'))).toMatch(
      /'zoo\.md#0',[^]*'old\/bread\.md#0',/
    )
    noteRun([task, own])
  })

  it('has a recipe for each of three', () => {
    expect(recipes).toHaveLength(3)
  })

  it.each(recipes.map((block) => ({ block, output: /output: '([^']+)'/.exec(block.code)?.[1] ?? '' })))(
    'moves everything over: $output (with stand-ins for the other libraries)',
    ({ block, output }) => {
      const folder = makeFolder('files')
      writeOtherStores(folder, task.code)
      const check = `import { deepStrictEqual } from 'node:assert/strict'
        import { ZgqIndex } from 'zgq'
        ${task.code}
        const index = ZgqIndex.open('${output}')
        const vectorOf = ({ body }) => embed(body)
        for (const { id, ...payload } of notes) {
          const row = index.document(id)
          deepStrictEqual({ ...row, payload: { ...row.payload } }, { id, vector: vectorOf(payload), payload })
        }
        console.log(index.count({ draft: false, tags: { $in: ['zoo', 'food'] } }))`
      runProgram('move.mjs', block.code, folder)
      expect(runProgram('check.mjs', check, folder)).toBe('2\n')
      noteRun([block])
    }
  )
})

it('the bundles of docs/runtimes.md run, with all their entries', () => {
  const folder = makeFolder('indexes')
  linkModules(folder, ['esbuild', 'vite', 'koffi', 'better-sqlite3'])
  writeRollupPlugins(folder)
  const app = `import { ZgqIndex } from 'zgq'\nconsole.log(ZgqIndex.open('docs.zgq').count())\n`
  writeFileSync(join(folder, 'app.js'), app)
  const [bundle, config] = take('docs/runtimes.md', 'js')
  const entries = ['app.mjs', 'build-worker.mjs', 'query-process.mjs', 'search-worker.mjs']
  const runBundle = (): void => {
    expect(readdirSync(join(folder, 'dist'))).toEqual(expect.arrayContaining(entries))
    expect(runProgram('start.mjs', `import './dist/app.mjs'`, folder)).toBe('3000\n')
    rmSync(join(folder, 'dist'), { recursive: true })
  }
  runProgram('esbuild.mjs', bundle.code, folder)
  runBundle()
  writeFileSync(join(folder, 'config.mjs'), config.code)
  const viteCode = `import { build } from 'vite'
    import rollupOptions from './config.mjs'
    const ssr = { noExternal: true, external: rollupOptions.external }
    await build({ configFile: false, logLevel: 'error', build: { ssr: true, rollupOptions }, ssr })`
  runProgram('vite.mjs', viteCode, folder)
  runBundle()
  noteRun([bundle, config])
})

describe('commands', () => {
  it.each([
    ['README.md', 'files'],
    ['docs/building.md', 'files'],
    ['docs/documents.md', 'files'],
    ['docs/changing.md', 'indexes'],
    ['docs/repairing.md', 'indexes']
  ] as const)('of %s succeed one after the other', (page, from) => {
    for (const block of take(page, 'sh')) {
      runCommands(block.code, makeFolder(from), COMMANDS)
      noteRun([block])
    }
  })

  it.each(take('docs/cli.md', ''))(
    'of docs/cli.md print this help, and run its examples: line $line',
    async (block) => {
      const [, name] = /^Usage: zgq ([a-z]*)/.exec(block.code) ?? []
      expect(runCommands(`zgq ${name} --help\n`, temp.path, COMMANDS)).toBe(block.code)
      const examples = /^Examples?\n((?: {2}.*\n)+)/m.exec(block.code)?.[1].trim().split(/\n */) ?? []
      if (name !== '') expect(examples).not.toEqual([])
      // It does not end by itself: serve.test.ts starts and ends it.
      for (const example of name === 'serve' ? [] : examples) {
        const folder = makeFolder(name === 'build' ? 'files' : 'indexes')
        const code = `${example.replace('https://minio.example.org', bucket.endpoint)}\n`
        if (example.includes(' --store ')) await runQueueExample(example, folder)
        else if (name === 'publish') await runBeside({ commands: COMMANDS, code }, folder, BUCKET_ENVIRONMENT)
        else runCommands(code, folder, COMMANDS)
      }
      noteRun([block])
    }
  )
})

// Last in the file: it counts what the others have run.
it('every code block was run, or says why it is not', () => {
  const blocks = PAGES.flatMap(blocksOf)
  expect(PAGES.map((page) => [page, fencesOf(page)])).toEqual(
    PAGES.map((page) => [page, 2 * blocks.filter((block) => block.page === page).length])
  )
  expect(blocks.filter((block) => block.notRun === undefined && !wasRun.has(nameOf(block))).map(nameOf)).toEqual([])
})
