// The Electron example's own files on plain Node.js: its index process, asked by its own client, and its main process
// with a stand-in for Electron. Windows and the real model are not here (examples/electron/test.js runs the model).

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'

import { electronLike } from './support/electron-like.ts'
import {
  exampleClient,
  installExample,
  type Client,
  type ClientParts,
  type Parent,
  type Progress,
  type SearchParams
} from './support/electron-example.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('electron-example')
const TEXTS = {
  'boats.txt': 'A sail swings across when the bow turns.\n\nThe anchor holds in sand.',
  'notes/bread.md': '# Bread\n\nFlour, water and salt rest overnight.\n\nThe oven is hot.',
  'picture.png': 'not a text',
  '.hidden.txt': 'secret flour'
}

let connect: (parts: ClientParts) => Client
let cutText: (text: string, most?: number) => { line: number; text: string }[]
const clients: Client[] = []

beforeAll(async () => {
  const example = installExample(temp.fresh('example'))
  connect = await exampleClient(example)
  cutText = (await import(join(example, 'passages.js'))).cutText
})
afterEach(() => {
  for (const client of clients.splice(0)) client.stop()
})

function client(parts: Partial<ClientParts> = {}): Client {
  const made = connect({ parent: 'a forked process', storage: temp.fresh('library'), ...parts })
  clients.push(made)
  return made
}

/** Writes a folder of texts; returns its path. */
function folderOf(texts: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = temp.fresh('texts')
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

describe.each<Parent>(['a forked process', 'a process with the port of Electron', 'a worker thread'])(
  'the index process as %s',
  (parent) => {
    it('indexes a folder, tells progress, and finds the passage that fits', async () => {
      const told: Progress[] = []
      const library = client({
        parent,
        onProgress: (progress) => {
          told.push(progress)
        }
      })
      const folder = folderOf(TEXTS)
      expect(await library.request('index', { folder })).toEqual({
        indexed: { folder, files: 2, skipped: 0, passages: 2, folders: ['', 'notes'] }
      })
      const found = await library.request('search', { text: 'flour and water', k: 5 })
      expect(found.map(({ file }) => file)).toEqual([join('notes', 'bread.md'), 'boats.txt'])
      expect(found[0]).toMatchObject({
        line: 1,
        text: '# Bread\n\nFlour, water and salt rest overnight.\n\nThe oven is hot.',
        similarity: expect.any(Number)
      })
      expect(new Set(told.map(({ stage }) => stage))).toEqual(new Set(['read', 'build']))
    })

    it('answers an error with its code', async () => {
      const library = client({ parent })
      await expect(library.request('index', { folder: temp.fresh('nowhere') })).rejects.toMatchObject({
        code: 'FOLDER_NOT_FOUND',
        message: expect.stringContaining('nowhere')
      })
      await expect(library.request('search', { text: 'flour' })).rejects.toMatchObject({ code: 'NO_INDEX' })
    })
  }
)

describe('an index of texts', () => {
  it('is there when the app starts again', async () => {
    const storage = temp.fresh('library')
    const [before, folder] = [client({ storage }), folderOf(TEXTS)]
    const state = await before.request('index', { folder })
    await before.request('close')
    const after = client({ storage })
    expect(await after.request('state')).toEqual(state)
    expect((await after.request('search', { text: 'anchor in sand' }))[0].file).toBe('boats.txt')
  })

  it('is searched in a folder and what is below it, and by the date of the texts', async () => {
    const library = client()
    const folder = folderOf({ ...TEXTS, 'notes/old/tea.md': 'Water for tea.', 'notes 2/x.md': 'Water again.' })
    const old = join(folder, 'notes/old/tea.md')
    utimesSync(old, new Date('2001-01-01'), new Date('2001-01-01'))
    const { indexed } = await library.request('index', { folder })
    expect(indexed?.folders).toEqual(['', 'notes', 'notes 2', 'notes/old'])
    const filesOf = async (only: Omit<SearchParams, 'text'>): Promise<string[]> =>
      (await library.request('search', { text: 'water', ...only })).map(({ file }) => file).sort()
    const [bread, tea, again] = [join('notes', 'bread.md'), join('notes', 'old', 'tea.md'), join('notes 2', 'x.md')]
    expect(await filesOf({})).toEqual(['boats.txt', again, bread, tea])
    expect(await filesOf({ folder: 'notes' })).toEqual([bread, tea])
    expect(await filesOf({ folder: 'notes/old' })).toEqual([tea])
    expect(await filesOf({ folder: 'notes', since: Date.parse('2002-01-01') })).toEqual([bread])
    expect(await filesOf({ since: Date.parse('2002-01-01') })).toEqual(['boats.txt', again, bread])
    const [found] = await library.request('search', { text: 'tea', k: 1 })
    expect(found).toMatchObject({ file: tea, modified: Date.parse('2001-01-01') })
  })

  it('is replaced while it is open; searches meanwhile are answered from the old one', async () => {
    const storage = temp.fresh('library')
    const meanwhile: Promise<string[]>[] = []
    const search = async (): Promise<string[]> =>
      (await library.request('search', { text: 'anchor', k: 9 })).map(({ file }) => file)
    let isAgain = false
    const library = client({
      storage,
      onProgress: () => {
        if (isAgain) meanwhile.push(search())
      }
    })
    await library.request('index', { folder: folderOf(TEXTS) })
    isAgain = true
    await library.request('index', { folder: folderOf({ 'harbour.txt': 'An anchor on the quay.' }) })
    isAgain = false
    const [old, fresh] = [['boats.txt', join('notes', 'bread.md')], ['harbour.txt']]
    const answers = await Promise.all(meanwhile)
    expect(answers).toContainEqual(old)
    for (const answer of answers) expect([old, fresh]).toContainEqual(answer)
    expect(await search()).toEqual(fresh)
    expect(await library.request('state')).toMatchObject({ indexed: { passages: 1 } })
    expect(readdirSync(storage).sort()).toEqual(['folder.txt', 'passages.zgq'])
  })

  it('stays as it was when indexing is cancelled', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 200 }, (_, i) => [`${i}.txt`, `Text number ${i} about anchors.`])
    )
    const storage = temp.fresh('library')
    let isCancelling = false
    let cancelling: Promise<unknown> | undefined
    const library = client({
      storage,
      onProgress: ({ file }) => {
        if (isCancelling && file !== undefined) cancelling ??= library.request('cancel')
      }
    })
    const state = await library.request('index', { folder: folderOf(TEXTS) })
    isCancelling = true
    await expect(library.request('index', { folder: folderOf(many) })).rejects.toMatchObject({ code: 'ABORTED' })
    await cancelling
    expect(await library.request('state')).toEqual(state)
    expect((await library.request('search', { text: 'anchor in sand' }))[0]).toMatchObject({ file: 'boats.txt' })
  })

  it('survives the sudden end of its process, which the next request starts again', async () => {
    const storage = temp.fresh('library')
    let isDying = false
    const library = client({
      storage,
      onProgress: ({ file }) => {
        if (isDying && file === '9.txt') library.stop()
      }
    })
    const state = await library.request('index', { folder: folderOf(TEXTS) })
    isDying = true
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${i}.txt`, `Text number ${i}.`]))
    await expect(library.request('index', { folder: folderOf(many) })).rejects.toMatchObject({ code: 'WORKER_GONE' })
    expect(await library.request('state')).toEqual(state)
    expect(await library.request('search', { text: 'anchor', k: 500 })).toHaveLength(2)
  })

  it('of another model is not searched, and can be made anew', async () => {
    const [storage, folder] = [temp.fresh('library'), folderOf(TEXTS)]
    await client({ storage }).request('index', { folder })
    const embedder = join(temp.path, 'other-model.mjs')
    writeFileSync(
      embedder,
      `export * from ${JSON.stringify(join(import.meta.dirname, 'support/word-embedder.mjs'))}\nexport const ` +
        `name = 'another'\n`
    )
    const library = client({ storage, embedder })
    expect(await library.request('state')).toMatchObject({ problem: { code: 'MODEL_CHANGED' }, folder })
    expect(await library.request('index', { folder })).toMatchObject({ indexed: { passages: 2 } })
  })

  it('that is damaged is told, and can be made anew', async () => {
    const [storage, folder] = [temp.fresh('library'), folderOf(TEXTS)]
    const before = client({ storage })
    await before.request('index', { folder })
    await before.request('close')
    const [name] = readdirSync(join(storage, 'passages.zgq')).filter((file) => file.startsWith('vectors-'))
    rmSync(join(storage, 'passages.zgq', name))
    const library = client({ storage })
    expect(await library.request('state')).toEqual({
      problem: { code: expect.stringMatching(/^ZGQ_/), message: expect.any(String) },
      folder
    })
    expect(await library.request('index', { folder })).toMatchObject({ indexed: { passages: 2 } })
  })

  it('is not made of a folder without texts, and leaves out what is no text', async () => {
    const library = client()
    await expect(library.request('index', { folder: folderOf({ 'picture.png': 'x' }) })).rejects.toMatchObject({
      code: 'NO_TEXTS'
    })
    await expect(library.request('index', { folder: folderOf({ 'empty.txt': '\n \n' }) })).rejects.toMatchObject({
      code: 'NO_TEXTS'
    })
    const folder = folderOf({ 'a.txt': 'A text.', 'b.txt': Uint8Array.of(0xff, 0xfe, 0x41, 0) })
    expect(await library.request('index', { folder })).toMatchObject({ indexed: { files: 1, skipped: 1, passages: 1 } })
    await expect(library.request('search', { text: ' ' })).rejects.toMatchObject({ code: 'EMPTY_QUERY' })
  })
})

it('the main process answers what the preload script offers to the page, and nobody else', () => {
  const example = installExample(temp.fresh('example'))
  copyFileSync(join(import.meta.dirname, 'support/word-embedder.mjs'), join(example, 'embed.js'))
  mkdirSync(join(example, 'node_modules/electron'))
  for (const [file, name] of [
    ['fake-electron.cjs', 'index.js'],
    ['parent-port.mjs', 'parent-port.mjs']
  ]) {
    copyFileSync(join(import.meta.dirname, 'support', file), join(example, 'node_modules/electron', name))
  }
  writeFileSync(
    join(example, 'page.mjs'),
    `
    import { closeWindow, invokeFromElsewhere } from 'electron'
    await import('./main.js')
    await import('./preload.cjs')
    const { texts } = globalThis
    const stages = new Set()
    const forget = texts.onProgress(({ stage }) => stages.add(stage))
    const tooEarly = [await texts.state(), await texts.index(), await texts.search('anchor')]
    const chosen = await texts.chooseFolder()
    const answers = [await texts.index(), await texts.state(), await texts.search('anchor in sand'), await texts.search(42), await texts.cancel()]
    const { error } = await invokeFromElsewhere('texts:state')
    forget()
    console.log(JSON.stringify({ tooEarly, chosen, answers, stages: [...stages], elsewhere: error.code }))
    closeWindow() // ends the index process, and with it this one
  `
  )
  const folder = folderOf(TEXTS)
  const env = electronLike({ ...process.env, ZGQ_TEST_DATA: temp.fresh('data'), ZGQ_TEST_FOLDER: folder })
  const indexed = { folder, files: 2, skipped: 0, passages: 2, folders: ['', 'notes'] }
  expect(JSON.parse(execFileSync(process.execPath, ['page.mjs'], { cwd: example, encoding: 'utf8', env }))).toEqual({
    tooEarly: [
      { value: {} },
      { error: { code: 'NO_FOLDER', message: expect.any(String) } },
      { error: { code: 'NO_INDEX', message: expect.any(String) } }
    ],
    chosen: { value: folder },
    answers: [
      { value: { indexed } },
      { value: { folder, indexed } },
      { value: [expect.objectContaining({ file: 'boats.txt' }), expect.anything()] },
      { error: { code: 'EMPTY_QUERY', message: expect.any(String) } },
      { value: null }
    ],
    stages: ['read', 'build'],
    elsewhere: 'FORBIDDEN'
  })
})

describe('a text', () => {
  it('is cut at paragraphs; short ones stay together', () => {
    expect(cutText('one\ntwo\n\n\nthree\n\nfour', 10)).toEqual([
      { line: 1, text: 'one\ntwo' },
      { line: 5, text: 'three' },
      { line: 7, text: 'four' }
    ])
    expect(cutText('one\n\ntwo', 10)).toEqual([{ line: 1, text: 'one\n\ntwo' }])
  })

  it('with long paragraphs is cut at sentences, else at words, else where it must', () => {
    expect(cutText('It is so.\nIt was not so before.', 21)).toEqual([
      { line: 1, text: 'It is so.\nIt was not' },
      { line: 2, text: 'so before.' }
    ])
    expect(cutText('This is long. And more', 20).map(({ text }) => text)).toEqual(['This is long.', 'And more'])
    expect(cutText('x'.repeat(45), 20).map(({ text }) => text.length)).toEqual([20, 20, 5])
    expect(cutText('\u{1f40b}'.repeat(4), 5).map(({ text }) => text)).toEqual([
      '\u{1f40b}'.repeat(2),
      '\u{1f40b}'.repeat(2)
    ])
  })

  it('loses nothing', () => {
    const text = readFileSync(join(import.meta.dirname, '../format-spec/README.md'), 'utf8')
    const words = (of: string): string => of.replace(/\s+/g, '')
    expect(
      words(
        cutText(text)
          .map((passage) => passage.text)
          .join('')
      )
    ).toBe(words(text))
  })
})
