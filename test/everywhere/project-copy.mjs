// A copy of the project in a temporary folder, so that it can be installed for another Node or another system, and
// Vitest's results in the copy.

import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')

/** What `npm run build` makes and git does not keep. */
const BUILT = ['dist', 'src/kernels/wasm-bytes.ts']

/** Copies what git keeps or would keep, and what was built, into a new folder; returns the folder. */
export function copyProject(name) {
  const missing = BUILT.find((path) => !existsSync(join(ROOT, path)))
  if (missing !== undefined) throw new Error(`${missing} is missing: run npm run build first`)
  const folder = mkdtempSync(join(tmpdir(), `zgq-${name}-`))
  chmodSync(folder, 0o755) // some tests read it as another user
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8'
  }).split('\0')
  const files = listed.filter((path) => path !== '' && existsSync(join(ROOT, path)))
  for (const path of [...files, ...BUILT]) cpSync(join(ROOT, path), join(folder, path), { recursive: true })
  return folder
}

/**
 * Runs a program to its end; returns what it printed, and throws an error that holds all of it where the program fails.
 */
export function run(program, args, options) {
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 2 ** 28,
      ...options
    })
  } catch (error) {
    throw new Error(
      `${program} ${args.join(' ')} ` +
        `failed:\n${error.stdout ?? ''}${error.stderr ?? ''}${error.stdout === undefined ? error.message : ''}`,
      { cause: error }
    )
  }
}

/** Reads the results that Vitest wrote: how many tests passed and failed, and a line for each that failed. */
export function readResults(path) {
  if (!existsSync(path)) return { passed: 0, skipped: 0, failures: ['Vitest ended without results'] }
  const { numPassedTests, numPendingTests, testResults } = JSON.parse(readFileSync(path, 'utf8'))
  const failures = testResults.flatMap(({ name, message, status, assertionResults }) => {
    const failed = assertionResults
      .filter((test) => test.status === 'failed')
      .map((test) => `${test.fullName}: ${firstLine(test.failureMessages[0])}`)
    return (failed.length === 0 && status === 'failed' ? [firstLine(message)] : failed).map(
      (line) => `${name.split(/[/\\]/).at(-1)}: ${line}`
    )
  })
  return { passed: numPassedTests, skipped: numPendingTests, failures }
}

function firstLine(text = '') {
  return text.split('\n')[0]
}
