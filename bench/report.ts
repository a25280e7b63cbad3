// Numbers as people and programs read them: medians with their spread, Markdown tables, the machine, JSON files.

import { writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'

export const MIB = 2 ** 20

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Takes the median and the extremes; the values stay as they are. */
export function spread(values: ArrayLike<number>): Spread {
  const sorted = Float64Array.from(values).sort()
  const middle = (sorted.length - 1) / 2
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
  return { median, min: sorted[0], max: sorted[sorted.length - 1] }
}

/** Finds the value below which `share` of the values lie. */
export function quantile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

export function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length
}

/** Divides round by round, so that noise that both sides saw cancels. */
export function pairedRatio(above: readonly number[], below: readonly number[]): Spread {
  return spread(above.map((value, round) => value / below[round]))
}

/** "1.23 (1.20-1.31)" */
export function showSpread(of: Spread, digits = 1): string {
  return `${of.median.toFixed(digits)} (${of.min.toFixed(digits)}-${of.max.toFixed(digits)})`
}

export function showMib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}

/** Prints a Markdown table: the first column to the left, all others to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  console.log(
    [line(head), line(head.map((_, column) => (column === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n') + '\n'
  )
}

export function describeMachine(): Record<string, unknown> {
  return {
    date: new Date().toISOString(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMib: Math.round(totalmem() / MIB),
    loadAverage: loadavg().map((load) => Math.round(load * 100) / 100)
  }
}

/** Prints the title and the machine; returns what `endReport` puts at the head of the JSON. */
export function startReport(title: string): Record<string, unknown> {
  const machine = describeMachine()
  console.log(`# ${title}\n`)
  console.log(
    `${String(machine['cpu'])}, ${String(machine['cores'])} cores, Node ${process.version}; load average at ` +
      `the start ${showLoad()}\n`
  )
  return machine
}

export function endReport(machine: Record<string, unknown>, results: unknown, jsonPath: string | undefined): void {
  console.log(`Load average at the end ${showLoad()} (this run included).`)
  if (jsonPath === undefined) return
  writeFileSync(jsonPath, JSON.stringify({ machine, loadAverageAtEnd: loadavg(), results }, null, 1) + '\n')
}

function showLoad(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')
}
