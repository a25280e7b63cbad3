// The Electron example follows its folder: what is saved there is found soon after, by every process that has the index
// open.

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import { exampleClient, installExample, type Client, type ClientParts } from './support/electron-example.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('electron-edits')
/** On a quiet machine it takes a quarter of a second; other tests run beside this one. */
const SOON_MS = 8000

let connect: (parts: ClientParts) => Client
const clients: Client[] = []
beforeAll(async () => {
  connect = await exampleClient(installExample(temp.fresh('example')))
})
afterEach(() => {
  for (const client of clients.splice(0)) client.stop()
})

function client(parts: Partial<ClientParts> = {}): Client {
  const made = connect({ parent: 'a forked process', storage: temp.fresh('library'), ...parts })
  clients.push(made)
  return made
}

function folderOf(texts: Readonly<Record<string, string>>): string {
  const folder = temp.fresh('texts')
  mkdirSync(folder)
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, name), text)
  return folder
}

const filesFound = async (library: Client, text: string): Promise<string[]> =>
  (await library.request('search', { text, k: 50 })).map(({ file }) => file)

/** Waits until a search finds what it should; fails with what it found. */
async function soon(library: Client, text: string, expected: (files: readonly string[]) => boolean): Promise<string[]> {
  const deadline = Date.now() + SOON_MS
  for (;;) {
    const found = await filesFound(library, text)
    if (expected(found) || Date.now() > deadline) return found
    await setTimeout(20)
  }
}

const TEXTS = { 'boats.txt': 'The anchor holds in sand.', 'bread.md': 'Flour, water and salt.' }

describe('a folder that is being edited', () => {
  it('is followed: what is saved is found, what is removed is not', async () => {
    const told: unknown[] = []
    const library = client({ onChanged: (changed) => told.push(changed) })
    const folder = folderOf(TEXTS)
    await library.request('index', { folder })
    writeFileSync(join(folder, 'tea.md'), 'Milk goes first.')
    expect(await soon(library, 'milk', (files) => files[0] === 'tea.md')).toContain('tea.md')
    writeFileSync(join(folder, 'tea.md'), 'Lemon, no milk.\n\nA second paragraph.')
    const lemon = async (): Promise<string[]> =>
      (await library.request('search', { text: 'lemon', k: 1 })).map(({ text }) => text)
    const deadline = Date.now() + SOON_MS
    while (!(await lemon())[0].startsWith('Lemon') && Date.now() < deadline) await setTimeout(20)
    expect(await lemon()).toEqual(['Lemon, no milk.\n\nA second paragraph.'])
    rmSync(join(folder, 'bread.md'))
    expect(await soon(library, 'flour', (files) => !files.includes('bread.md'))).not.toContain('bread.md')
    renameSync(join(folder, 'boats.txt'), join(folder, 'ships.txt'))
    const isRenamed = (files: readonly string[]): boolean => files.includes('ships.txt') && !files.includes('boats.txt')
    expect((await soon(library, 'anchor', isRenamed)).sort()).toEqual(['ships.txt', 'tea.md'])
    expect(await library.request('state')).toMatchObject({ indexed: { files: 2, passages: 2 } })
    expect(told).toContainEqual({})
    expect(told).not.toContainEqual({ problem: expect.anything() })
  })

  it('is caught up with when the app starts again', async () => {
    const storage = temp.fresh('library')
    const folder = folderOf(TEXTS)
    const before = client({ storage })
    await before.request('index', { folder })
    await before.request('close')
    before.stop()
    writeFileSync(join(folder, 'tea.md'), 'Milk goes first.')
    rmSync(join(folder, 'boats.txt'))
    const after = client({ storage })
    const isCaughtUp = (files: readonly string[]): boolean => files.includes('tea.md') && !files.includes('boats.txt')
    expect((await soon(after, 'milk', isCaughtUp)).sort()).toEqual(['bread.md', 'tea.md'])
  })

  it('may lose its last text, and get others', async () => {
    const library = client()
    const folder = folderOf({ 'only.txt': 'Milk goes first.' })
    await library.request('index', { folder })
    writeFileSync(join(folder, 'only.txt'), '')
    expect(await soon(library, 'milk', (files) => files.length === 0)).toEqual([])
    writeFileSync(join(folder, 'more.txt'), 'Milk again.')
    expect(await soon(library, 'milk', (files) => files.length > 0)).toEqual(['more.txt'])
  })
})

describe('two processes', () => {
  it('share one index: what one of them writes, the other finds', async () => {
    const storage = temp.fresh('library')
    const folder = folderOf(TEXTS)
    const one = client({ storage })
    await one.request('index', { folder })
    const told: unknown[] = []
    const other = client({ storage, parent: 'a worker thread', onChanged: (changed) => told.push(changed) })
    await other.request('state')
    const names = Array.from({ length: 12 }, (_, i) => `note ${i}.md`)
    for (const name of names) writeFileSync(join(folder, name), `Milk in ${name}.`)
    const isAll = (files: readonly string[]): boolean => names.every((name) => files.includes(name))
    for (const library of [one, other]) {
      expect((await soon(library, 'milk', isAll)).sort()).toEqual(['boats.txt', 'bread.md', ...names].sort())
    }
    expect(await one.request('state')).toEqual(await other.request('state'))
    expect(told).not.toContainEqual({ problem: expect.anything() })
    // A process that is killed takes nothing along.
    one.stop()
    writeFileSync(join(folder, 'last.md'), 'Milk at last.')
    expect(await soon(other, 'milk at last', (files) => files[0] === 'last.md')).toContain('last.md')
    await other.request('close')
    expect(await checkIndex(join(storage, 'passages.zgq'))).toMatchObject({ count: 15 })
  })

  it.runIf(process.platform !== 'win32')(
    'go on with the new index when one of them indexes another folder',
    async () => {
      const storage = temp.fresh('library')
      const [one, other] = [client({ storage }), client({ storage })]
      await one.request('index', { folder: folderOf(TEXTS) })
      await other.request('close')
      const third = client({ storage })
      expect(await filesFound(third, 'anchor')).toContain('boats.txt')
      const harbour = folderOf({ 'harbour.txt': 'An anchor on the quay.' })
      await one.request('index', { folder: harbour })
      expect(await soon(third, 'anchor', (files) => files[0] === 'harbour.txt')).toEqual(['harbour.txt'])
      writeFileSync(join(harbour, 'gull.txt'), 'A gull on the quay.')
      expect(await soon(third, 'gull', (files) => files.length === 2)).toHaveLength(2)
    }
  )
})
