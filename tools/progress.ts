// Progress of long work on standard error: one line that is rewritten on a terminal, plain lines elsewhere; and how
// long each stage took. What is said once the work is done stands with the subcommands.

import { countOf, formatCount } from '../src/describe.ts'
import { formatDuration, formatMemory } from './output.ts'

/** How far a stage is; `total` is 0 where it is not known before. */
export interface Progress {
  readonly stage: string
  readonly done: number
  readonly total: number
}

/** Where progress is shown, and what it is measured with. */
export interface ProgressOutlet {
  write(text: string): void
  readonly isTerminal: boolean
  /** Characters in a line of the terminal. */
  columns(): number
  nowMs(): number
  rssBytes(): number
}

/** A stage that is over. */
export interface StageTime {
  readonly stage: string
  readonly elapsedMs: number
}

/** Units that each stage counts. */
const UNITS: Readonly<Record<string, string>> = {
  read: 'row',
  sample: 'row',
  train: 'round',
  assign: 'row',
  write: 'row',
  fetch: 'row',
  add: 'row',
  backup: 'byte',
  upload: 'byte',
  digest: 'byte',
  pack: 'byte',
  plan: 'row',
  calibrate: 'query',
  check: 'row',
  export: 'row'
}
/**
 * Later rounds of training see more rows, and calibration goes on after its last query: no percentage, rate or time
 * left would be true.
 */
const UNEVEN = new Set(['train', 'calibrate'])

const REWRITE_EVERY_MS = 100
const LINE_EVERY_MS = 5000
/** Rates of shorter times are noise. */
const LEAST_RATE_MS = 500
const CLEAR_LINE = '\r\x1b[2K'
const WIDEST_BAR = 30
const NARROWEST_BAR = 10
const DEFAULT_COLUMNS = 80

interface RunningStage {
  readonly stage: string
  readonly startedAtMs: number
  /** Done already at the first report of the stage. */
  readonly doneAtStart: number
  last: Progress
}

/** Shows progress; `finish` when the work is done, `end` in any case. */
export class ProgressLine {
  readonly #outlet: ProgressOutlet
  readonly #over: StageTime[] = []
  #running: RunningStage | undefined
  #shownAtMs = 0

  constructor(outlet: ProgressOutlet = standardError()) {
    this.#outlet = outlet
  }

  show(progress: Progress): void {
    const { isTerminal } = this.#outlet
    const nowMs = this.#outlet.nowMs()
    if (progress.stage !== this.#running?.stage) {
      this.#finishStage(nowMs)
      this.#running = { stage: progress.stage, startedAtMs: nowMs, doneAtStart: progress.done, last: progress }
      if (!isTerminal) this.#outlet.write(`${progress.stage}\n`)
    } else {
      this.#running.last = progress
      if (nowMs - this.#shownAtMs < (isTerminal ? REWRITE_EVERY_MS : LINE_EVERY_MS)) return
      if (!isTerminal) this.#outlet.write(`${plainLine(this.#running, nowMs, this.#outlet.rssBytes())}\n`)
    }
    this.#shownAtMs = nowMs
    if (isTerminal) this.#outlet.write(`${CLEAR_LINE}${terminalLine(this.#running, nowMs, this.#outlet)}`)
  }

  /** Says that the last stage is done, and clears the line. Returns how long each stage took. */
  finish(): readonly StageTime[] {
    this.#finishStage(this.#outlet.nowMs())
    this.end()
    return this.#over
  }

  /** Clears the line, so that what follows starts on a clean one. */
  end(): void {
    if (this.#outlet.isTerminal && this.#running !== undefined) this.#outlet.write(CLEAR_LINE)
    this.#running = undefined
  }

  #finishStage(nowMs: number): void {
    if (this.#running === undefined) return
    const { stage, startedAtMs } = this.#running
    this.#over.push({ stage, elapsedMs: nowMs - startedAtMs })
    if (!this.#outlet.isTerminal) this.#outlet.write(`${doneLine(this.#running, nowMs, this.#outlet.rssBytes())}\n`)
  }
}

/** Progress goes where errors go; a terminal that cannot rewrite a line gets plain lines. */
function standardError(): ProgressOutlet {
  const { stderr } = process
  return {
    write: (text) => {
      stderr.write(text)
    },
    isTerminal: stderr.isTTY && process.env['TERM'] !== 'dumb',
    columns: () => stderr.columns,
    nowMs: () => performance.now(),
    rssBytes: () => process.memoryUsage.rss()
  }
}

/** The facts of a moment as words; empty where there is nothing to say. */
interface Facts {
  /** How far the stage is, in short. */
  readonly share: string
  readonly amount: string
  readonly rate: string
  /** Time left where that can be said, else time passed. */
  readonly time: string
}

function describe(running: RunningStage, nowMs: number): Facts {
  const {
    stage,
    startedAtMs,
    doneAtStart,
    last: { done, total }
  } = running
  const elapsedMs = nowMs - startedAtMs
  const time = `${formatDuration(elapsedMs)} so far`
  const unit = UNITS[stage]
  if (unit === undefined) return { share: '', amount: '', rate: '', time }
  const amount = total === 0 ? countOf(done, unit) : `${formatCount(done)} of ${countOf(total, unit)}`
  if (UNEVEN.has(stage)) return { share: amount, amount: '', rate: '', time }
  const share = total === 0 ? '' : `${Math.floor((done / total) * 100)} %`
  if (elapsedMs < LEAST_RATE_MS || done === doneAtStart) return { share, amount, rate: '', time }
  const perMs = (done - doneAtStart) / elapsedMs
  const rate = `${countOf(Math.round(perMs * 1000), unit)}/s`
  return { share, amount, rate, time: total > done ? `${formatDuration((total - done) / perMs)} left` : time }
}

function plainLine(running: RunningStage, nowMs: number, rssBytes: number): string {
  const { share, amount, rate, time } = describe(running, nowMs)
  return (
    `${running.stage}: ` +
    `${[share, amount, rate, time, formatMemory(rssBytes)].filter((part) => part !== '').join(', ')}`
  )
}

function doneLine(running: RunningStage, nowMs: number, rssBytes: number): string {
  const {
    stage,
    startedAtMs,
    last: { done }
  } = running
  const unit = UNITS[stage]
  const time = `done in ${formatDuration(nowMs - startedAtMs)}`
  const amount = unit === undefined ? '' : countOf(done, unit)
  const parts = [time, amount, describe(running, nowMs).rate, formatMemory(rssBytes)]
  return `${stage}: ${parts.filter((part) => part !== '').join(', ')}`
}

/** One line that fits: what matters least is left out first, and the bar takes what room is left. */
function terminalLine(running: RunningStage, nowMs: number, outlet: ProgressOutlet): string {
  // The last column stays free: some terminals wrap as soon as it is filled.
  const width = (outlet.columns() > 0 ? outlet.columns() : DEFAULT_COLUMNS) - 1
  const { share, amount, rate, time } = describe(running, nowMs)
  const { done, total } = running.last
  const filled = total === 0 ? undefined : Math.min(1, done / total)
  const parts = new Map([
    ['stage', running.stage.padEnd(9)],
    ['bar', filled === undefined ? '' : drawBar(filled, NARROWEST_BAR)],
    ['share', share.padStart(5)],
    ['amount', amount],
    ['rate', rate],
    ['time', time],
    ['memory', formatMemory(outlet.rssBytes())]
  ])
  const line = (): string =>
    Array.from(parts.values())
      .filter((part) => part.trim() !== '')
      .join('  ')
  for (const least of ['amount', 'bar', 'memory', 'rate', 'time']) if (line().length > width) parts.delete(least)
  const room = width - line().length
  if (filled !== undefined && parts.has('bar'))
    parts.set('bar', drawBar(filled, Math.min(WIDEST_BAR, NARROWEST_BAR + room)))
  return line().slice(0, Math.max(0, width))
}

/** `width` is that of what stands between the brackets. */
function drawBar(share: number, width: number): string {
  const filled = Math.round(share * width)
  return `[${'='.repeat(filled)}${' '.repeat(width - filled)}]`
}
