// The fenced code blocks of a page, in order, and how they are run: programs by Node, commands by a shell that finds
// `zgq` and `npx zgq` in dist/.

import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

import { ROOT } from './sources.ts'

export interface DocBlock {
  readonly page: string
  /** The line of the fence, from 1. */
  readonly line: number
  /** What follows the fence: `js`, `sh`, or nothing. */
  readonly language: string
  readonly code: string
  /** Why no test runs it: from a comment `<!-- not run: WHY -->` in the line above the fence. */
  readonly notRun: string | undefined
}

/** Lists the code blocks of a page; a path from the root of the repository. */
export function blocksOf(page: string): DocBlock[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  const blocks = text.matchAll(/(?:^<!-- not run: (?<why>.+) -->\n)?^```(?<language>.*)\n(?<code>[^]*?)^```$/gm)
  return Array.from(blocks, ({ index, groups = {} }) => ({
    page,
    line: text.slice(0, index).split('\n').length + (groups['why'] === undefined ? 0 : 1),
    language: groups['language'] ?? '',
    code: groups['code'] ?? '',
    notRun: groups['why']
  }))
}

/** Counts the fences of a page: two for each block that `blocksOf` finds, or it has missed one. */
export function fencesOf(page: string): number {
  return readFileSync(join(ROOT, page), 'utf8').match(/^\s*```/gm)?.length ?? 0
}

/** Joins blocks into programs: one that imports what the program has imported already begins the next. */
export function programsOf(blocks: readonly DocBlock[]): (readonly DocBlock[])[] {
  const importsOf = (code: string): readonly string[] => code.match(/^import .*$/gm) ?? []
  const programs: DocBlock[][] = []
  for (const block of blocks) {
    const program = programs.at(-1)
    const known = program?.flatMap(({ code }) => importsOf(code)) ?? []
    if (program === undefined || importsOf(block.code).some((line) => known.includes(line))) programs.push([block])
    else program.push(block)
  }
  return programs
}

/** Puts zgq and other packages of the repository among the modules of a folder. */
export function linkModules(folder: string, names: readonly string[] = ['zgq']): void {
  const modules = join(folder, 'node_modules')
  mkdirSync(modules, { recursive: true })
  for (const name of names)
    if (!existsSync(join(modules, name)))
      symlinkSync(name === 'zgq' ? ROOT : join(ROOT, 'node_modules', name), join(modules, name), 'junction')
}

/** Makes a folder of commands: `zgq`, and an `npx` that runs nothing else. */
export function makeCommands(folder: string): void {
  mkdirSync(folder, { recursive: true })
  const write = (name: string, line: string): void => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${line}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  write('zgq', `exec '${process.execPath}' '${join(ROOT, 'dist', 'zgq.js')}' "$@"`)
  write('npx', 'test "$1" = zgq && exec "$@"')
}

/** Runs commands in a folder; they must succeed. Returns what they printed. */
export function runCommands(code: string, folder: string, commands: string): string {
  const env = { ...process.env, PATH: `${commands}${delimiter}${process.env['PATH'] ?? ''}` }
  const { status, stdout, stderr } = spawnSync('sh', ['-e', '-c', code], { encoding: 'utf8', cwd: folder, env })
  if (status !== 0) throw new Error(`${code}ended with ${String(status)}:\n${stderr}`)
  return stdout
}

/** Runs a program in a folder; it must succeed and print no warning. Returns what it printed. */
export function runProgram(name: string, code: string, folder: string): string {
  writeFileSync(join(folder, name), code)
  const { status, stdout, stderr } = spawnSync(process.execPath, [name], { encoding: 'utf8', cwd: folder })
  if (status !== 0 || stderr !== '') throw new Error(`${name} ended with ${String(status)}:\n${stderr}`)
  return stdout
}

/** Runs a program or commands in a folder while this process goes on, as its server. */
export async function runBeside(
  run: { readonly program: string; readonly code: string } | { readonly commands: string; readonly code: string },
  folder: string,
  environment: Readonly<Record<string, string>> = {}
): Promise<string> {
  const env = { ...process.env, ...environment }
  if ('commands' in run) {
    env['PATH'] = `${run.commands}${delimiter}${process.env['PATH'] ?? ''}`
    return (await promisify(execFile)('sh', ['-e', '-c', run.code], { cwd: folder, env })).stdout
  }
  writeFileSync(join(folder, run.program), run.code)
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [run.program], { cwd: folder, env })
  if (stderr !== '') throw new Error(`${run.program} printed a warning:\n${stderr}`)
  return stdout
}
