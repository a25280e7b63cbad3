// What people read: sizes, numbers, tables, and a progress line that stays in place on a terminal.

const MIB = 2 ** 20

export function formatBytes(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(2)} GB`
  if (bytes >= MIB) return `${(bytes / MIB).toFixed(1)} MB`
  return bytes >= 1024 ? `${(bytes / 1024).toFixed(1)} KB` : `${bytes} bytes`
}

export function formatCount(value: number): string {
  return value.toLocaleString('en-US')
}

/** Aligns columns: the first to the left, all others to the right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ').trimEnd()).join('\n')
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value))
}

/** Shows progress on standard error: one line that is rewritten on a terminal; elsewhere a line for each new stage, and one every five seconds. */
export class ProgressLine {
  readonly #isTerminal = process.stderr.isTTY
  #stage = ''
  #startedAt = 0
  #shownAt = 0

  show(progress: { stage: string; done: number; total: number }): void {
    const now = performance.now()
    if (progress.stage !== this.#stage) {
      this.#stage = progress.stage
      this.#startedAt = now
      if (!this.#isTerminal) process.stderr.write(`${progress.stage}\n`)
    } else if (now - this.#shownAt < (this.#isTerminal ? 100 : 5000)) {
      return
    } else if (!this.#isTerminal) {
      process.stderr.write(`${describe(progress, (now - this.#startedAt) / 1000)}\n`)
    }
    this.#shownAt = now
    if (this.#isTerminal) process.stderr.write(`\r\x1b[2K${describe(progress, (now - this.#startedAt) / 1000)}`)
  }

  /** Clears the line, so that what follows starts on a clean one. */
  end(): void {
    if (this.#isTerminal) process.stderr.write('\r\x1b[2K')
  }
}

function describe(progress: { stage: string; done: number; total: number }, seconds: number): string {
  const { stage, done, total } = progress
  const rate = seconds > 0.5 && done > 0 ? `  ${formatCount(Math.round(done / seconds))}/s` : ''
  if (total === 0) return `${stage.padEnd(8)} ${formatCount(done)}${rate}`
  const share = done / total
  const filled = Math.round(share * 30)
  const left = seconds > 0.5 && done > 0 && done < total ? `  ${Math.ceil((seconds / done) * (total - done))} s left` : ''
  return `${stage.padEnd(8)} [${'='.repeat(filled)}${' '.repeat(30 - filled)}] ${Math.floor(share * 100)} %${rate}${left}`
}
