// The example from end to end on plain Node.js, with its real model: the process that Electron would start, asked as
// the main process asks it.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'

import { WorkerClient } from './worker-client.js'

assert.ok(Number(process.versions.node.split('.')[0]) >= 22, 'better-sqlite3 13 needs Node 22 or newer')

const HERE = import.meta.dirname
const temp = mkdtempSync(join(tmpdir(), 'zgq-example-'))
const folder = join(temp, 'texts')
/** @type {import('./library.js').Progress[]} */
const progress = []
/** @type {(progress: import('./library.js').Progress) => void} */
let onProgress = () => undefined

const client = new WorkerClient({
  start() {
    const child = fork(join(HERE, 'index-worker.js'))
    return {
      postMessage: (message) => child.send(/** @type {object} */ (message)),
      on: (event, listener) => child.on(event, listener),
      kill: () => child.kill()
    }
  },
  opening: { storage: join(temp, 'library') },
  onProgress(told) {
    progress.push(told)
    onProgress(told)
  }
})

before(() => cpSync(join(HERE, 'texts'), folder, { recursive: true }))
after(() => {
  client.stop()
  rmSync(temp, { recursive: true, force: true })
})

test('a folder of texts is indexed, with progress', async () => {
  const { indexed } = await client.request('index', { folder })
  assert.equal(indexed.files, 6)
  assert.ok(indexed.passages >= 6, `${indexed.passages} passages`)
  assert.ok(progress.some(({ stage, file }) => stage === 'read' && file === 'bread.md'))
  assert.ok(progress.some(({ stage }) => stage === 'build'))
})

for (const [query, file] of [
  ['how to repair a flat tire', 'bicycle.md'],
  ['why do meteors glow', 'night-sky.md'],
  ['what should I do when the wind gets too strong for the boat', 'sailing.txt'],
  ['getting rid of snails', 'garden.txt'],
  ['my sourdough did not rise', 'bread.md'],
  ['what to do in a thunderstorm in the mountains', 'letters.md']
]) {
  test(`"${query}" finds a passage of ${file} by its meaning`, async () => {
    const [best] = await client.request('search', { text: query })
    assert.equal(best.file, file, best.text)
  })
}

test('a search can be limited to a folder, and to what was changed lately', async () => {
  const folders = (await client.request('state')).indexed.folders
  assert.deepEqual(folders, [''])
  assert.deepEqual(await client.request('search', { text: 'a hot oven', folder: 'nowhere' }), [])
  assert.equal((await client.request('search', { text: 'a hot oven', since: Date.now() - 60_000 })).length, 10)
  assert.deepEqual(await client.request('search', { text: 'a hot oven', since: Date.now() + 60_000 }), [])
})

test('a cancelled indexing leaves what was indexed before', async () => {
  const other = join(temp, 'others')
  mkdirSync(other)
  writeFileSync(
    join(other, 'long.txt'),
    'A paragraph about nothing in particular that goes on for a while.\n\n'.repeat(500)
  )
  /** @type {Promise<unknown> | undefined} */
  let cancelling
  onProgress = ({ file }) => {
    if (file === 'long.txt') cancelling ??= client.request('cancel')
  }
  await assert.rejects(client.request('index', { folder: other }), { code: 'ABORTED' })
  await cancelling
  assert.equal((await client.request('state')).indexed.files, 6)
  assert.equal((await client.request('search', { text: 'a hot oven' }))[0].file, 'bread.md')
})

test('indexing again takes in what is new', async () => {
  writeFileSync(join(folder, 'long.txt'), 'Octopuses have three hearts and blue blood.')
  onProgress = () => undefined
  await client.request('index', { folder })
  assert.match((await client.request('search', { text: 'sea animal with tentacles' }))[0].text, /^Octopuses/)
})

test('a saved text is found soon after, and a removed one is not', async () => {
  writeFileSync(join(folder, 'owls.md'), 'Owls hunt mice in the dark without a sound.')
  const first = async () => (await client.request('search', { text: 'birds that fly at night' }))[0].file
  const deadline = Date.now() + 10_000
  while ((await first()) !== 'owls.md' && Date.now() < deadline) await setTimeout(50)
  assert.equal(await first(), 'owls.md')
  rmSync(join(folder, 'owls.md'))
  while ((await first()) === 'owls.md' && Date.now() < deadline) await setTimeout(50)
  assert.notEqual(await first(), 'owls.md')
})
