// The page of `zgq inspect --html`: what it says, that it needs nothing else, and how the command behaves.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, type BuildOptions } from '../src/build.ts'
import { formatCount } from '../src/describe.ts'
import { ZgqIndex, type ZoneInfo } from '../src/index.ts'
import { countInBins, formatNumber } from '../tools/charts.ts'
import { makePage, type Inspected } from '../tools/inspect-html.ts'
import { html, scriptValue } from '../tools/markup.ts'
import { projectOnPrincipalAxes } from '../tools/principal-axes.ts'
import { makeVectors } from './support/datasets.ts'
import { jsonOf, runZgq } from './support/run-zgq.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('inspect-html')
const DIM = 8
const COUNT = 3000
const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, 9)

async function buildAt(path: string, options: Partial<BuildOptions> = {}): Promise<string> {
  await buildIndex({ input: vectors, dim: DIM, zones: 40, output: path, ...options })
  return path
}

function inspect(path: string): Inspected {
  const index = ZgqIndex.open(path)
  try {
    const info = index.info()
    const fields = Object.keys(info.fields).map((name) => index.fieldSummary(name))
    return { info, fields, zones: index.zones(), build: { seed: 1, inputDigest: 'abc' } }
  } finally {
    index.close()
  }
}

const index = temp.fresh('docs.zgq')
let inspected: Inspected
let page = ''
beforeAll(async () => {
  await buildAt(index)
  inspected = inspect(index)
  page = makePage(inspected)
})

/** Elements that have no end. */
const VOID = new Set(['meta', 'link', '!doctype'])

/** Tags in the order in which they open; throws where one does not close what is open. */
function elementsOf(text: string): string[] {
  const open: string[] = []
  const seen: string[] = []
  const bare = text.replace(/(<(script|style)[^>]*>)[^]*?(<\/\2>)/g, '$1$3')
  for (const [, end, name, rest] of bare.matchAll(/<(\/?)([a-z!][a-z0-9]*)((?:"[^"]*"|[^">])*)>/gi)) {
    const tag = name.toLowerCase()
    if (end !== '') {
      const last = open.pop()
      if (last !== tag) throw new Error(`</${tag}> ends <${String(last)}>`)
    } else {
      seen.push(tag)
      if (!VOID.has(tag) && !rest.endsWith('/')) open.push(tag)
    }
  }
  if (open.length > 0) throw new Error(`left open: ${open.join(', ')}`)
  return seen
}

/** What stands in the page to be read, without tags. */
const wordsOf = (text: string): string =>
  text
    .replace(/<(script|style)[^]*?<\/\1>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')

interface ZoneData {
  readonly x: readonly number[]
  readonly y: readonly number[]
  readonly rows: readonly number[]
  readonly radius: readonly number[]
  readonly unit: number
}

function zoneDataOf(text: string): ZoneData {
  const json = /<script type="application\/json" id="zone-data">(.*)<\/script>/.exec(text)?.[1]
  if (json === undefined) throw new Error('the page has no zone data')
  return JSON.parse(json)
}

describe('the page', () => {
  it('says what the index holds', () => {
    const { info } = inspected
    const words = wordsOf(page)
    const { min, max } = info.zoneRows
    for (const fact of [
      'docs.zgq',
      '3,000',
      '8 dimensions',
      'l2',
      '4 bits',
      formatCount(info.zones),
      `${min} to ${max} rows`,
      info.indexId,
      info.reader.kind,
      info.reader.reason,
      info.kernel,
      'digest of the input abc',
      'catalogue.sqlite',
      ...info.files.map((file) => file.name)
    ]) {
      expect(words).toContain(fact)
    }
  })

  it('has every zone on the map, where the principal axes put it', () => {
    const { zones } = inspected
    const data = zoneDataOf(page)
    const plane = projectOnPrincipalAxes(zones.map((zone) => zone.centroid))
    expect(data.rows).toEqual(zones.map((zone) => zone.rows))
    data.radius.forEach((radius, i) => {
      expect(radius).toBeCloseTo(zones[i].radius, 2)
    })
    for (let i = 1; i < zones.length; i++) {
      expect((data.x[i] - data.x[0]) * data.unit).toBeCloseTo(plane.x[i] - plane.x[0], 2)
      expect((data.y[i] - data.y[0]) * data.unit).toBeCloseTo(plane.y[0] - plane.y[i], 2)
    }
    expect(wordsOf(page)).toContain(`${((plane.shares[0] + plane.shares[1]) * 100).toFixed(1)} % of the variance`)
  })

  it('has the numbers of the calibration, the mean and the bound, for each k', () => {
    const words = wordsOf(page)
    for (const curve of inspected.info.calibration?.curves ?? []) {
      expect(words).toContain(`recall@${curve.k}`)
      for (const { recall, mean, zones } of curve.points)
        expect(words).toContain(` ${Number(recall.toFixed(4))} ${Number(mean.toFixed(4))} ${formatNumber(zones)} `)
    }
    expect((page.match(/<g class="(mean|bound)"><path d="M[\d. ]+L/g) ?? []).length).toBe(6)
  })

  it('counts every zone in each histogram', () => {
    const counted = Array.from(page.matchAll(/<title>[^<]*: ([\d,]+) zones?<\/title>/g), ([, count]) =>
      Number(count.replaceAll(',', ''))
    )
    expect(counted.reduce((sum, count) => sum + count, 0)).toBe(2 * inspected.zones.length)
  })

  it('asks for nothing outside of itself, and forbids to', () => {
    expect(page).not.toMatch(/https?:|src=|@import|url\(|fetch|XMLHttpRequest|importScripts/i)
    expect(Array.from(page.matchAll(/href="([^"]*)"/g), ([, target]) => target)).toEqual(['data:,'])
    expect(page).toContain('<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;;')
  })

  it('is ASCII, and closes every element that it opens', () => {
    expect(page).toMatch(/^<!doctype html>[\n\x20-\x7e]*$/)
    expect(elementsOf(page)).toEqual(expect.arrayContaining(['h1', 'canvas', 'svg', 'table', 'details']))
  })

  it('says in words what each chart shows, with ids of its own', () => {
    const ids = Array.from(page.matchAll(/ id="([^"]*)"/g), ([, id]) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const [, names] of page.matchAll(/aria-labelledby="([^"]*)"/g))
      for (const name of names.split(' ')) expect(ids).toContain(name)
    expect(page.match(/role="img"/g)?.length).toBe(6)
  })

  it('is the same for the same index', () => {
    expect(makePage(inspect(index))).toBe(page)
  })

  it('does not let names become elements', async () => {
    const name = '<img src=x onerror="alert(1)">&\'\u00e9\u{1f600}.zgq'
    const folder = temp.fresh('names')
    mkdirSync(folder)
    const named = makePage({ ...inspect(await buildAt(join(folder, name))), build: { '</script><b>': '</style><i>' } })
    expect(elementsOf(named).filter((tag) => ['img', 'i'].includes(tag))).toEqual([])
    expect(named).toContain('<h1>&#60;img src=x onerror=&#34;alert(1)&#34;&#62;&#38;&#39;&#233;&#128512;.zgq</h1>')
    expect(named).toMatch(/^[\n\x20-\x7e]*$/)
  })
})

describe('a page about', () => {
  it('an index with one zone has no map and no charts', async () => {
    const one = makePage(inspect(await buildAt(temp.fresh('one'), { zones: 1 })))
    elementsOf(one)
    expect(one).not.toMatch(/<svg|<canvas|NaN|Infinity/)
    expect(wordsOf(one)).toContain('One zone of 3,000 rows')
  })

  it('an index that is not calibrated says so', async () => {
    const plain = makePage(inspect(await buildAt(temp.fresh('uncalibrated'), { calibrate: false })))
    elementsOf(plain)
    expect(wordsOf(plain)).toContain('No recall is promised: the index is not calibrated')
    expect(plain).not.toContain('recall@')
  })

  it('an index without codes says so', async () => {
    expect(wordsOf(makePage(inspect(await buildAt(temp.fresh('plain'), { bits: 0 }))))).toContain(
      'Codes none float32 rows are scanned'
    )
  })

  it.each<readonly [string, Partial<ZoneInfo>]>([
    ['all at one place', { centroid: new Float32Array(DIM) }],
    ['of one radius', { radius: 0 }],
    ['of one size', { rows: 7 }],
    ['of huge radii', { radius: 3e38 }]
  ])('zones %s draws them', (_, same) => {
    const drawn = makePage({ ...inspected, zones: inspected.zones.map((zone) => ({ ...zone, ...same })) })
    elementsOf(drawn)
    expect(drawn.replace(/<script>[^]*<\/script>/, '')).not.toMatch(/NaN|Infinity|undefined|null/)
    expect(zoneDataOf(drawn).rows).toHaveLength(inspected.zones.length)
  })

  it('a recall that was measured as 1 has a place for it', () => {
    const { calibration } = inspected.info
    if (calibration === null) throw new Error('the index is not calibrated')
    const curves = [
      {
        k: 10,
        points: [
          { recall: 0.9, mean: 1, zones: 3, threshold: 1 },
          { recall: 0.99, mean: 1, zones: 300, threshold: 2 }
        ]
      }
    ]
    const drawn = makePage({ ...inspected, info: { ...inspected.info, calibration: { ...calibration, curves } } })
    expect(drawn).not.toMatch(/NaN|Infinity/)
    expect(drawn).toContain('<g class="mean"><path d="M')
  })
})

describe('zgq inspect --html', () => {
  it('writes the page, says where, and replaces it the next time', () => {
    const file = temp.fresh('page.html')
    const { code, stdout } = runZgq('inspect', index, '--html', file)
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^wrote .*page\.html, [\d.]+ KB: open it in a browser\n$/)
    })
    const written = readFileSync(file, 'utf8')
    elementsOf(written)
    expect(runZgq('inspect', index, '--html', file).code).toBe(0)
    expect(readFileSync(file, 'utf8')).toBe(written)
  })

  it('prints with --json what the index holds too', () => {
    const file = temp.fresh('page.html')
    expect(jsonOf('inspect', index, '--html', file)).toMatchObject({ count: COUNT, html: file })
    expect(existsSync(file)).toBe(true)
  })

  it.each<readonly [string, () => string, number, RegExp]>([
    ['a folder', () => temp.path, 1, /^zgq: ZGQ_EXISTS: /],
    [
      'a file that is no page',
      () => {
        const file = temp.fresh('notes')
        writeFileSync(file, 'notes')
        return file
      },
      1,
      /^zgq: ZGQ_EXISTS: /
    ],
    [
      'a file in a folder that does not exist',
      () => join(temp.path, 'nowhere', 'page.html'),
      1,
      /^zgq: ZGQ_NOT_FOUND: /
    ],
    ['a file of the index', () => join(index, 'catalogue.sqlite'), 2, /^zgq: --html must name a file outside/],
    [
      'a new file in the index',
      () => join(index, 'catalogue.sqlite-journal'),
      2,
      /^zgq: --html must name a file outside/
    ],
    ['nothing', () => '', 2, /^zgq: --html needs the path/]
  ])('refuses to write to %s, and changes nothing', (_, make, code, line) => {
    const file = make()
    const before = existsSync(file) && file !== temp.path ? readFileSync(file) : undefined
    const files = readdirSync(index)
    const ended = runZgq('inspect', index, '--html', file)
    expect({ code: ended.code, stdout: ended.stdout, first: ended.stderr.split('\n')[0] }).toEqual({
      code,
      stdout: '',
      first: expect.stringMatching(line)
    })
    expect(existsSync(file) && file !== temp.path ? readFileSync(file) : undefined).toEqual(before)
    expect(readdirSync(index)).toEqual(files)
  })
})

describe('bins', () => {
  it.each<readonly [readonly number[], boolean, readonly (readonly [number, number, number])[]]>([
    [[], true, []],
    [[7, 7, 7], true, [[7, 8, 3]]],
    [
      [1, 2, 2, 4],
      true,
      [
        [1, 2, 1],
        [2, 3, 2],
        [3, 4, 0],
        [4, 5, 1]
      ]
    ],
    [
      [0, 39, 40],
      true,
      [
        [0, 10, 1],
        [10, 20, 0],
        [20, 30, 0],
        [30, 40, 1],
        [40, 50, 1]
      ]
    ],
    [[2.5, 2.5], false, [[2.5, 2.5, 2]]],
    [
      [0, 0.5, 1],
      false,
      [
        [0, 0.5, 1],
        [0.5, 1, 2]
      ]
    ],
    [
      [-1, 1],
      false,
      [
        [-1, -0.5, 1],
        [-0.5, 0, 0],
        [0, 0.5, 0],
        [0.5, 1, 1]
      ]
    ]
  ])('of %j (whole: %s) are %j', (values, isWhole, bins) => {
    expect(countInBins(values, { wanted: 4, isWhole }).map(({ from, to, count }) => [from, to, count])).toEqual(bins)
  })
})

describe('markup', () => {
  it('escapes what is put into it, but markup', () => {
    expect(
      html`<p title="${'"'}">${'<&>'}${html`<b>${1}</b>`}${['a', html`<i></i>`, false]}${undefined}</p>`.text
    ).toBe('<p title="&#34;">&#60;&#38;&#62;<b>1</b>a<i></i></p>')
  })

  it('has no characters that HTML cannot have', () => {
    expect(html`${'a\0\x1b\x85\ud800\ufffd'}`.text).toBe('a&#65533;&#65533;&#65533;&#65533;&#65533;')
  })

  it('puts values into scripts so that they cannot end them', () => {
    expect(scriptValue({ a: '</script>' }).text).toBe('{"a":"\\u003c/script>"}')
  })
})
