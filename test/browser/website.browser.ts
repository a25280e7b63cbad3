// The example page in Chromium, headless: zgq serve behind a proxy that adds 60 ms. It must show what ZgqIndex finds on
// disk. ZGQ_WEBSITE_DATA names a folder of vectors and texts; without it the page has the slice in test/data.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { ZgqIndex, type Filter } from '../../src/index.ts'
import { ROOT } from '../support/sources.ts'
import { useTempFolder } from '../support/temp-folder.ts'
import { launchChromium } from './chromium.ts'
import { startProxy, type Proxy, type ProxyOptions } from './slow-proxy.ts'

interface Definition {
  readonly text: string
  readonly kind: string
}

/** What the page shows of a hit. */
interface Shown {
  readonly id: string
  readonly distance: number
  readonly text: string
}

const LATENCY_MS = 60
const K = 10
const CHIPS = 6
const LONGEST_FRAME_MS = 50
const THREADS = ['worker', 'page'] as const
const temp = useTempFolder('website')
const site = join(temp.path, 'site')

let browser: Browser
let serving: ChildProcess
let served = ''
let index: ZgqIndex<string, Definition>
let vectors: Int8Array
let texts: readonly string[]
const proxies: Proxy[] = []
const contexts: BrowserContext[] = []

beforeAll(async () => {
  browser = await launchChromium()
  const { ZGQ_WEBSITE_DATA: data } = process.env
  const given = data === undefined ? [] : ['--data', data]
  execFileSync(process.execPath, ['examples/website/build.mjs', '--out', site, '--keep', ...given], { cwd: ROOT })
  const command = ['dist/zgq.js', 'serve', site, '--port', '0', '--json']
  serving = spawn(process.execPath, command, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  served = await new Promise((resolve) => {
    serving.stdout?.once('data', (line: Buffer) => {
      const { url }: { url: string } = JSON.parse(line.toString())
      resolve(url)
    })
  })
  index = ZgqIndex.open<string, Definition>(`${site}.index`)
  vectors = new Int8Array(readFileSync(join(site, 'examples.bin')))
  const about: { texts: string[] } = JSON.parse(readFileSync(join(site, 'examples.json'), 'utf8'))
  texts = about.texts
})

afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close()
  for (const proxy of proxies.splice(0)) proxy.close()
})

afterAll(async () => {
  await browser.close()
  serving.kill()
  index.close()
})

async function proxy(options: ProxyOptions = {}): Promise<string> {
  const started = await startProxy(served, { latencyMs: LATENCY_MS, ...options })
  proxies.push(started)
  return started.url
}

/** Notes frames that came late, and when answers and problems were shown. */
const WATCH = `{
  globalThis.late = []
  let last = performance.now()
  const frame = (now) => {
    if (now - last > ${LONGEST_FRAME_MS}) late.push({ at: now, lateMs: now - last })
    last = now
    requestAnimationFrame(frame)
  }
  requestAnimationFrame(frame)
}`

interface Opened {
  readonly page: Page
  readonly context: BrowserContext
  /** Errors that nobody caught, and requests to other servers than those of the test. */
  readonly unwanted: string[]
}

async function open(url: string): Promise<Opened> {
  const context = await browser.newContext()
  contexts.push(context)
  await context.addInitScript(WATCH)
  const page = await context.newPage()
  const unwanted: string[] = []
  page.on('pageerror', (error) => unwanted.push(error.message))
  page.on('request', (request) => {
    if (!/^(http:\/\/127\.0\.0\.1:|data:)/.test(request.url())) unwanted.push(request.url())
  })
  await page.goto(url, { waitUntil: 'commit' })
  return { page, context, unwanted }
}

/** Resolves once answers or problems were shown so often, to when; the page's policy forbids what playwright has. */
async function shown(page: Page, times: number, mark = 'zgq:shown'): Promise<number> {
  return await page.evaluate<number>(`new Promise((done) => {
    const look = () => {
      const found = performance.getEntriesByName('${mark}')[${times - 1}]
      if (found === undefined) setTimeout(look, 10)
      else done(found.startTime)
    }
    look()
  })`)
}

/** Clicks, and waits for the answer to it: how long it took, and frames that were late meanwhile. */
async function ask(page: Page, selector: string): Promise<{ ms: number; lateFrames: number }> {
  const before = await page.evaluate<number>(`performance.getEntriesByName('zgq:shown').length`)
  const from = await page.evaluate<number>(
    `(() => { const at = performance.now(); document.querySelector(${JSON.stringify(selector)}).click(); return at })()`
  )
  const to = await shown(page, before + 1)
  return { ms: to - from, lateFrames: await lateFrames(page, from, to) }
}

async function lateFrames(page: Page, from: number, to: number): Promise<number> {
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
  return await page.evaluate<number>(`late.filter(({ at, lateMs }) => at > ${from} && at - lateMs < ${to}).length`)
}

async function hitsOf(page: Page): Promise<Shown[]> {
  return await page.evaluate<Shown[]>(
    `[...document.querySelectorAll('#results li')].map((item) => ({ id: item.dataset.id, distance: ` +
      `Number(item.dataset.distance), text: item.querySelector('.text').textContent }))`
  )
}

function vectorOf(example: number): Float32Array {
  const { dim } = index.info()
  return Float32Array.from(vectors.subarray(example * dim, (example + 1) * dim))
}

/** What the index on disk finds, as the page shows it. */
function found(
  query: Float32Array | { id: string },
  options: { readonly k?: number; readonly filter?: Filter } = {}
): Shown[] {
  const hits = index.search(query, { k: K, payload: true, ...options })
  return hits.map(({ id, distance, payload }) => ({ id, distance, text: payload?.text ?? '' }))
}

const chip = (example: number): string => `[data-example="${example}"]`
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]

describe.each(THREADS)('the page that searches in a %s', (thread) => {
  it('shows the hits of the index on disk: ids, distances and texts', async () => {
    const { page, unwanted } = await open(`${await proxy()}?thread=${thread}`)
    const firstMs = await shown(page, 1)
    const firstLate = await lateFrames(page, 0, firstMs)
    expect(await hitsOf(page)).toEqual(found(vectorOf(0)))
    const costs = [await page.textContent('#last')]
    const asked = []
    for (let example = 1; example < CHIPS; example++) {
      asked.push(await ask(page, chip(example)))
      expect(await hitsOf(page)).toEqual(found(vectorOf(example)))
      costs.push(await page.textContent('#last'))
    }
    const [{ id }] = found(vectorOf(CHIPS - 1))
    const like = await ask(page, '.like')
    expect(await hitsOf(page)).toEqual(found({ id }))
    await ask(page, '[name=kind][value=verb]')
    expect(await hitsOf(page)).toEqual(found({ id }, { filter: { kind: 'verb' } }))
    expect(unwanted).toEqual([])
    console.log(
      JSON.stringify({
        thread,
        rows: index.count(),
        latencyMs: LATENCY_MS,
        firstHitMs: Math.round(firstMs),
        firstLateFrames: firstLate,
        clickToHitsMs: asked.map(({ ms }) => Math.round(ms)),
        medianClickMs: Math.round(median(asked.map(({ ms }) => ms))),
        lateFrames: asked.reduce((sum, one) => sum + one.lateFrames, 0),
        likeThisMs: Math.round(like.ms),
        costs
      })
    )
  })
})

describe('the page', () => {
  it('is asked by the keyboard alone, and goes back', async () => {
    const { page } = await open(await proxy())
    await shown(page, 1)
    await page.keyboard.press('Tab') // to the link that skips
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.id')).toBe('query')
    const word = texts[2].split(' ')[1].slice(0, 4)
    await page.fill('#query', word)
    const wanted = texts.findIndex((text) => ` ${text.toLowerCase()}`.includes(` ${word}`))
    expect(await page.getAttribute('#query', 'aria-expanded')).toBe('true')
    await page.keyboard.press('ArrowDown')
    expect(await page.getAttribute('#query', 'aria-activedescendant')).toBe('choice-0')
    await page.keyboard.press('Enter')
    await shown(page, 2)
    expect(await hitsOf(page)).toEqual(found(vectorOf(wanted)))
    expect(await page.textContent('#said')).toBe(`${K} definitions found`)
    await page.goBack()
    await shown(page, 3)
    expect(await hitsOf(page)).toEqual(found(vectorOf(0)))
  })

  it('opens a link to what is like a definition', async () => {
    const [{ id, text }] = found(vectorOf(0))
    const { page } = await open(`${await proxy()}#like=${id}`)
    await shown(page, 1)
    expect(await hitsOf(page)).toEqual(found({ id }))
    expect(await page.textContent('#results-title')).toBe(`Like ${text}`)
  })

  it('shows more where there is more', async () => {
    const { page } = await open(await proxy())
    await shown(page, 1)
    await ask(page, '#more')
    expect(await hitsOf(page)).toEqual(found(vectorOf(0), { k: K + 20 }))
  })

  it('says where nothing fits', async () => {
    const { page } = await open(`${await proxy()}#example=0&kind=pronoun`)
    await shown(page, 1)
    expect(await hitsOf(page)).toEqual([])
    expect(await page.textContent('#note')).toBe('No definition fits. Choose another kind of word.')
  })
})

describe('where the index cannot be read, the page says why:', () => {
  /** What is shown to the reader. */
  async function problemOf(page: Page): Promise<string> {
    await shown(page, 1, 'zgq:problem')
    return await page.innerText('#problem')
  }

  it('a server of another origin that does not let it read', async () => {
    const other = await proxy({ without: 'CORS' })
    const { page } = await open(await proxy({ indexUrl: `${other}wordnet.zgqp` }))
    const problem = await problemOf(page)
    expect(problem).toContain('ZGQ_IO')
    expect(problem).toContain('CORS')
  })

  it('and reads from a server of another origin that does', async () => {
    const other = await proxy()
    const { page } = await open(await proxy({ indexUrl: `${other}wordnet.zgqp` }))
    await shown(page, 1)
    expect(await hitsOf(page)).toEqual(found(vectorOf(0)))
  })

  it('a server without ranges', async () => {
    const { page } = await open(await proxy({ without: 'ranges' }))
    const problem = await problemOf(page)
    expect(problem).toContain('ZGQ_UNSUPPORTED')
    expect(problem).toContain('range requests')
  })

  it('no index', async () => {
    const { page } = await open(await proxy({ indexUrl: 'other.zgqp' }))
    expect(await problemOf(page)).toContain('The index is not there')
  })

  it('no network, and it goes on when that is back', async () => {
    const { page, context } = await open(await proxy())
    await shown(page, 1)
    await context.setOffline(true)
    await page.click(chip(3))
    expect(await problemOf(page)).toContain('You are offline')
    await context.setOffline(false)
    await page.click('#again')
    await shown(page, 2)
    expect(await hitsOf(page)).toEqual(found(vectorOf(3)))
    expect(await page.isVisible('#problem')).toBe(false)
  })
})
