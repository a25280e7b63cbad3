// zgq repair, and what other commands say of an index that needs it: real commands on real files.

import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { readCatalogue } from '../src/catalogue/reader.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import { flipByte } from './support/flip-byte.ts'
import { contentOf, makeChangedDocuments } from './support/repairs.ts'
import { interruptZgq, jsonOf, runZgq } from './support/run-zgq.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('cli-repair', IN_MEMORY)
const made = temp.fresh('made')
let live = 0
beforeAll(async () => {
  await makeChangedDocuments({ output: made, count: 300, dim: 8, metric: 'l2', bits: 4, ids: 'string', seed: 3 })
  live = contentOf(made).size
})

function damagedCopy(damage: (folder: string) => void): string {
  const folder = temp.fresh('damaged')
  cpSync(made, folder, { recursive: true })
  damage(folder)
  return folder
}

function freshOutput(): string {
  const place = temp.fresh('place')
  mkdirSync(place)
  return join(place, 'out.zgq')
}

const without = (name: string): string =>
  damagedCopy((folder) => {
    rmSync(join(folder, name))
  })

describe('zgq repair', () => {
  it('says of a sound index that nothing is damaged, and writes another one', () => {
    const output = freshOutput()
    const { code, stdout } = runZgq('repair', made, output)
    expect([code, stdout.split('\n')]).toEqual([
      0,
      [
        'nothing is damaged',
        'nothing was lost',
        expect.stringMatching(/^note: .*zgq calibrate/),
        `${output} has ${live.toLocaleString('en-US')} rows`,
        ''
      ]
    ])
    expect(runZgq('check', output).code).toBe(0)
  })

  it('lists what is damaged and what was lost, with exit code 0', () => {
    const { segments } = readCatalogue(made)
    const [segment] = segments
    const folder = damagedCopy((path) => {
      flipByte(join(path, 'vectors-000001-00000.zgq'), segment.rows.offset)
      rmSync(join(path, 'payload-000001-00000.zgq'))
      rmSync(join(path, 'codes-000001-00000.zgq'))
    })
    const { code, stdout } = runZgq('repair', folder, freshOutput())
    expect(code).toBe(0)
    const lines = stdout.split('\n')
    expect(lines[0]).toBe('3 places damaged or missing:')
    expect(lines.slice(1, 4).sort()).toEqual([
      '  codes-000001-00000.zgq: a file of the index is missing',
      '  payload-000001-00000.zgq: a file of the index is missing',
      expect.stringMatching(/^ {2}vectors-000001-00000\.zgq at byte 4096: rows of segment 0: page 0 is damaged$/)
    ])
    expect(lines[4]).toMatch(/^lost: \d+ rows$/)
    expect(lines[5]).toMatch(/^ {2}\d+ rows of segment 0 in vectors-000001-00000\.zgq$/)
    expect(lines[6]).toMatch(/^ {2}ids: "[^"]+", .* and \d+ more \(--json lists up to 1,000\)$/)
    expect(lines[7]).toMatch(/^lost: the payloads of \d+ rows$/)
  })

  it('prints its report as JSON', () => {
    const output = freshOutput()
    const report = jsonOf('repair', without('fields-000001-00000.zgq'), output)
    expect(report).toEqual({
      path: output,
      rows: live,
      lost: { rows: 0, ids: [], segments: [], payloads: 0, freshRows: 0, deletions: 0, patches: 0 },
      damage: [{ file: 'fields-000001-00000.zgq', offset: null, what: 'a file of the index is missing' }],
      notes: [expect.any(String)]
    })
  })

  it('without a catalogue wants --accept-loss, and takes fields anew', () => {
    const folder = without(CATALOGUE_NAME)
    const output = freshOutput()
    const refused = runZgq('repair', folder, output)
    expect([refused.code, refused.stdout]).toEqual([1, ''])
    expect(refused.stderr).toMatch(/^zgq: ZGQ_CORRUPT: the catalogue cannot be read: .* To go on .*--accept-loss/m)
    expect(existsSync(output)).toBe(false)
    const { code, stdout } = runZgq('repair', folder, output, '--accept-loss', '--fields', 'kind:string,size:number')
    expect(code).toBe(0)
    expect(stdout).toContain('lost: rows, deletions and updates that only the catalogue had (how many is not known)\n')
    expect(stdout).toContain('note: declared fields, the model and the note were in the catalogue alone')
    expect(runZgq('inspect', output).stdout).toMatch(/kind/)
  })

  it('onto a folder that is there fails with ZGQ_EXISTS', () => {
    const { code, stderr } = runZgq('repair', made, temp.path)
    expect([code, stderr.split('\n')[0]]).toEqual([1, expect.stringMatching(/^zgq: ZGQ_EXISTS: /)])
  })

  it.each([
    [['repair', made], /repair/],
    [['repair', made, 'x', '--accept-losses'], /did you mean --accept-loss\?/],
    [['repair', made, 'x', '--fields', 'a:text'], /--fields must be NAME:TYPE/]
  ])('of %j is wrong usage', (words, message) => {
    const { code, stderr } = runZgq(...words)
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)])
  })

  it('that is interrupted leaves nothing', async () => {
    const output = freshOutput()
    const { code, stderr } = await interruptZgq('SIGINT', 'train\n', ['repair', made, output])
    expect([code, stderr]).toEqual([130, expect.stringContaining('interrupted; nothing was left behind')])
    expect(readdirSync(dirname(output))).toEqual([])
  })
})

describe('an index whose files were removed by hand', () => {
  it.each(['vectors', 'codes', 'fields', 'payload', 'ids', 'delta'])(
    'is refused without its %s file, which is named',
    (kind) => {
      const [name] = readdirSync(made).filter((one) => one.startsWith(kind))
      const folder = without(name)
      for (const command of ['check', 'inspect']) {
        const { code, stderr } = runZgq(command, folder)
        expect(code).toBe(1)
        expect(stderr).toMatch(new RegExp(`^zgq: ZGQ_CORRUPT: .*zgq repair.*${name}`, 'm'))
      }
    }
  )

  it('has all names of missing files in the message', () => {
    const names = readdirSync(made).filter((name) => /^(codes|fields|delta)/.test(name))
    const folder = damagedCopy((path) => {
      for (const name of names) rmSync(join(path, name))
    })
    const { code, stderr } = runZgq('check', folder)
    expect(code).toBe(1)
    for (const name of names) expect(stderr).toContain(name)
  })

  it('is no index without its catalogue, but repair is offered', () => {
    const { code, stderr } = runZgq('check', without(CATALOGUE_NAME))
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^zgq: ZGQ_NOT_AN_INDEX: .*zgq repair/m)])
    expect(runZgq('check', temp.path).stderr).not.toContain('zgq repair')
  })
})
