// Sizes, numbers, times and tables as text for people. Counts are in src/describe.ts, progress is in
// progress.ts.

import { formatCount } from '../src/describe.ts'

const MIB = 2 ** 20

export function formatBytes(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(2)} GB`
  if (bytes >= MIB) return `${(bytes / MIB).toFixed(1)} MB`
  return bytes >= 1024 ? `${(bytes / 1024).toFixed(1)} KB` : `${bytes} bytes`
}

/** A recall with four digits at most, rounded down: what is shown as promised can be asked for. */
export function formatRecall(recall: number): string {
  return (Math.floor(recall * 10_000 + 1e-6) / 10_000).toString()
}

/** Memory of a process in whole megabytes: `412 MB`. */
export function formatMemory(bytes: number): string {
  return bytes >= 2 ** 30 ? formatBytes(bytes) : `${Math.round(bytes / MIB)} MB`
}

/** A time as people say it: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const two = (value: number): string => String(value).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`
  const minutes = Math.round(seconds / 60)
  return `${formatCount(Math.floor(minutes / 60))} h ${two(minutes % 60)} min`
}

/** Aligns columns: the first to the left, all others to the right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}

/** A path as a word of a shell's command line. */
export function shellWord(path: string): string {
  return /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

/** Control characters but line ends, and those that turn the direction of what follows. */
const STEERING = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g

/** Prints a line. Text of a file must not steer a terminal: what could is escaped, in JSON as JSON does it. */
export function print(line: string): void {
  const safe = line.replace(STEERING, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
  process.stdout.write(`${safe}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value))
}
