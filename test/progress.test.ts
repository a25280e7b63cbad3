// What is shown while work goes on: on a terminal and elsewhere. Only time, memory and the stream are fake.

import { describe, expect, it } from 'vitest'

import { formatDuration, formatMemory, shellWord } from '../tools/output.ts'
import { ProgressLine, type Progress } from '../tools/progress.ts'

const MIB = 2 ** 20
const CLEAR_LINE = '\r\x1b[2K'

/** A progress line on a stream that keeps what is written. Each step says when (seconds) and how far. */
function showing(
  steps: readonly (readonly [number, Progress])[],
  { columns = undefined as number | undefined } = {}
): { progress: ProgressLine; written: () => string; at: (seconds: number) => void } {
  let [nowMs, written] = [0, '']
  const progress = new ProgressLine({
    write: (text) => {
      written += text
    },
    isTerminal: columns !== undefined,
    columns: () => columns ?? 0,
    nowMs: () => nowMs,
    rssBytes: () => 412.4 * MIB
  })
  for (const [seconds, state] of steps) {
    nowMs = seconds * 1000
    progress.show(state)
  }
  return {
    progress,
    written: () => written,
    at: (seconds) => {
      nowMs = seconds * 1000
    }
  }
}

const assign = (done: number, total = 1000): Progress => ({ stage: 'assign', done, total })
const train = (done: number): Progress => ({ stage: 'train', done, total: 8 })

/** Lines as a terminal would have shown them, one after the other. */
const rewritten = (text: string): string[] => text.split(CLEAR_LINE).slice(1)

describe('progress where there is no terminal', () => {
  it('is a line when a stage starts and one when it ends, with what it took', () => {
    const { progress, written, at } = showing([
      [0, train(0)],
      [2, train(8)],
      [2, assign(0)],
      [4, assign(1000)]
    ])
    at(4)
    progress.finish()
    expect(written()).toBe(
      'train\ntrain: done in 2.0 s, 8 rounds, 412 MB\nassign\nassign: done in 2.0 s, 1,000 rows, 500 rows/s, 412 MB\n'
    )
  })

  it('is at most one line in five seconds in between', () => {
    const { written } = showing([
      [0, assign(0)],
      [4.9, assign(100)],
      [5, assign(200)],
      [5.1, assign(300)],
      [9.9, assign(400)],
      [10, assign(500)]
    ])
    expect(written()).toBe(
      'assign\nassign: 20 %, 200 of 1,000 rows, 40 rows/s, 20 s left, 412 MB\nassign: 50 %, 500 of 1,000 rows, ' +
        '50 rows/s, 10 s left, 412 MB\n'
    )
  })

  it('has no share and no time left where the total is not known', () => {
    const { written } = showing([
      [0, { stage: 'read', done: 0, total: 0 }],
      [5, { stage: 'read', done: 6000, total: 0 }]
    ])
    expect(written()).toBe('read\nread: 6,000 rows, 1,200 rows/s, 5.0 s so far, 412 MB\n')
  })

  it.each([
    ['train', 'rounds'],
    ['calibrate', 'queries']
  ])('promises nothing for %s, whose %s are not all there is to do', (stage, unit) => {
    const { written } = showing([
      [0, { stage, done: 0, total: 8 }],
      [6, { stage, done: 5, total: 8 }]
    ])
    expect(written()).toBe(`${stage}\n${stage}: 5 of 8 ${unit}, 6.0 s so far, 412 MB\n`)
  })

  it('does not count as done in a stage what its first report had done already', () => {
    const { written } = showing([
      [0, assign(500)],
      [5, assign(600)]
    ])
    expect(written()).toContain(', 20 rows/s, 20 s left,')
  })

  it('says nothing of a stage that was cut off', () => {
    const { progress, written } = showing([
      [0, assign(0)],
      [1, assign(100)]
    ])
    progress.end()
    expect(written()).toBe('assign\n')
  })

  it('shows a stage that it does not know', () => {
    const { written } = showing([
      [0, { stage: 'publish', done: 0, total: 1 }],
      [5, { stage: 'publish', done: 0, total: 1 }]
    ])
    expect(written()).toBe('publish\npublish: 5.0 s so far, 412 MB\n')
  })
})

describe('progress on a terminal', () => {
  const steps = [
    [0, assign(0, 1e6)],
    [1, assign(250_000, 1e6)],
    [1.05, assign(260_000, 1e6)],
    [2, assign(500_000, 1e6)]
  ] as const

  it('is one line that is rewritten, at most ten times a second', () => {
    const { written } = showing(steps, { columns: 80 })
    expect(written()).not.toContain('\n')
    expect(rewritten(written()).map((line) => /\d+ %/.exec(line)?.[0])).toEqual(['0 %', '25 %', '50 %'])
  })

  it('says all there is to say where there is room', () => {
    const { written } = showing(steps, { columns: 140 })
    expect(rewritten(written()).at(-1)).toBe(
      `assign     [${'='.repeat(15)}${' '.repeat(15)}]   50 %  500,000 of 1,000,000 rows  250,000 rows/s  2.0 ` +
        's left  412 MB'
    )
  })

  it('leaves out what matters least where there is not', () => {
    const at = (columns: number): string | undefined => rewritten(showing(steps, { columns }).written()).at(-1)
    expect([80, 60, 50, 40, 30, 20].map(at)).toEqual([
      `assign     [${'='.repeat(12)}${' '.repeat(11)}]   50 %  250,000 rows/s  2.0 s left  412 MB`,
      'assign      50 %  250,000 rows/s  2.0 s left  412 MB',
      'assign      50 %  250,000 rows/s  2.0 s left',
      'assign      50 %  2.0 s left',
      'assign      50 %  2.0 s left',
      'assign      50 %'
    ])
  })

  it.each(Array.from({ length: 150 }, (_, i) => i + 1))('never fills %i columns, so that it never wraps', (columns) => {
    const { written } = showing(
      [
        [0, train(0)],
        [1, train(7)],
        [2, { stage: 'read', done: 10, total: 0 }],
        [3, { stage: 'read', done: 1e9, total: 0 }],
        ...steps.map(([s, p]) => [s + 4, p] as const)
      ],
      { columns }
    )
    expect(Math.max(...rewritten(written()).map((line) => line.length))).toBeLessThan(columns)
  })

  it('takes 80 columns where the terminal does not say', () => {
    expect(showing(steps, { columns: 0 }).written()).toBe(showing(steps, { columns: 80 }).written())
  })

  it('is cleared at the end, once', () => {
    const { progress, written } = showing(steps, { columns: 80 })
    const before = written().length
    progress.finish()
    progress.end()
    expect(written().slice(before)).toBe(CLEAR_LINE)
  })

  it('clears nothing where nothing was shown', () => {
    const { progress, written } = showing([], { columns: 80 })
    progress.end()
    expect(written()).toBe('')
  })
})

describe('finish', () => {
  it('returns how long each stage took, from its first report to that of the next', () => {
    const { progress, at } = showing([
      [1, train(0)],
      [3, train(8)],
      [4, assign(0)],
      [5, assign(1000)]
    ])
    at(7)
    expect(progress.finish()).toEqual([
      { stage: 'train', elapsedMs: 3000 },
      { stage: 'assign', elapsedMs: 3000 }
    ])
  })
})

describe('words', () => {
  it.each([
    [0, '0.0 s'],
    [400, '0.4 s'],
    [9949, '9.9 s'],
    [9950, '10 s'],
    [59_499, '59 s'],
    [59_500, '1 min 00 s'],
    [185_000, '3 min 05 s'],
    [3_599_400, '59 min 59 s'],
    [3_599_500, '1 h 00 min'],
    [7_800_000, '2 h 10 min']
  ])('for %i ms are "%s"', (ms, words) => {
    expect(formatDuration(ms)).toBe(words)
  })

  it.each([
    [412.4 * MIB, '412 MB'],
    [1023.4 * MIB, '1023 MB'],
    [1.5 * 2 ** 30, '1.50 GB']
  ])('for %i bytes of memory are "%s"', (bytes, words) => {
    expect(formatMemory(bytes)).toBe(words)
  })

  it.each([
    ['docs.zgq', 'docs.zgq'],
    ['/a/b c.zgq', "'/a/b c.zgq'"],
    ["it's", "'it'\\''s'"],
    ['a$b', "'a$b'"]
  ])('for the path %s are %s', (path, words) => {
    expect(shellWord(path)).toBe(words)
  })
})
