// What the zgq command says of itself, and what it takes a mistyped word for.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { ADD } from '../tools/add.ts'
import { BACKUP } from '../tools/backup.ts'
import { BUILD } from '../tools/build.ts'
import { CALIBRATE } from '../tools/calibrate.ts'
import { CHECK } from '../tools/check.ts'
import { DELETE } from '../tools/delete.ts'
import { EVAL } from '../tools/eval.ts'
import { EXPORT } from '../tools/export.ts'
import { OPTIMIZE } from '../tools/optimize.ts'
import { didYouMean } from '../tools/help.ts'
import { INSPECT } from '../tools/inspect.ts'
import { inWordsOf } from '../tools/messages.ts'
import { countOf } from '../src/describe.ts'
import { REPAIR } from '../tools/repair.ts'
import { SEARCH } from '../tools/search.ts'
import { SERVE } from '../tools/serve.ts'
import { runZgq } from './support/run-zgq.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('cli-help')
const COMMANDS = [BUILD, ADD, DELETE, OPTIMIZE, SEARCH, EVAL, CALIBRATE, INSPECT, EXPORT, BACKUP, CHECK, REPAIR, SERVE]

describe('zgq --help', () => {
  it('lists every command with a line of its own', () => {
    const { code, stdout } = runZgq('--help')
    expect(code).toBe(0)
    for (const { name, summary } of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'))
  })

  it.each(COMMANDS)('of $name explains every positional and option, with an example', (command) => {
    const { code, stdout } = runZgq(command.name, '--help')
    expect(code).toBe(0)
    for (const name of Object.keys(command.options)) expect(stdout).toMatch(new RegExp(`^  --${name}[ \\n]`, 'm'))
    for (const { name } of command.positionals) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'))
    expect(stdout).toMatch(new RegExp(`^Examples?\\n  .*zgq ${command.name} `, 'm'))
    expect(runZgq('help', command.name)).toEqual({ code, stdout, stderr: '' })
  })

  it('is what docs/cli.md has (else: npm run docs)', () => {
    const out = join(temp.path, 'cli.md')
    execFileSync(process.execPath, ['tools/write-cli-docs.mjs', out], { cwd: ROOT })
    expect(readFileSync(join(ROOT, 'docs', 'cli.md'), 'utf8')).toBe(readFileSync(out, 'utf8'))
  })
})

it('zgq --version prints the version of the package', () => {
  const { version }: { version: string } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  expect(runZgq('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
})

describe('a mistyped word is an error that says what was meant:', () => {
  it.each([
    [['serach', 'x'], 'unknown command serach; did you mean search?'],
    [['search', 'x', 'y', '--recal', '0.9'], 'unknown option --recal; did you mean --recall?'],
    [['build', 'x', 'y', '--memroy', '1GB'], 'unknown option --memroy; did you mean --memory?'],
    [['--hlep'], 'unknown option --hlep; did you mean --help?'],
    [['--versoin'], 'unknown option --versoin; did you mean --version?'],
    [['build', '--hepl'], 'unknown option --hepl; did you mean --help?'],
    [['search', 'x', 'y', '--memory', '1GB'], 'unknown option --memory'],
    [['check', 'x', '--json=1'], '--json takes no value, found "1"'],
    [['search', 'x', 'y', '--k', '--json'], '--k needs a value: --k N'],
    [['search', 'x', 'y', '--k', '1', '--k', '2'], '--k is given twice']
  ])('%j', (words, message) => {
    const { code, stdout, stderr } = runZgq(...words)
    expect({ code, stdout, first: stderr.split('\n')[0] }).toEqual({ code: 2, stdout: '', first: `zgq: ${message}` })
  })

  it('nothing is guessed where no word is near', () => {
    expect(didYouMean('frobnicate', ['build', 'search'])).toBe('')
    expect(didYouMean('', ['build'])).toBe('')
  })
})

describe('messages', () => {
  it.each([
    ['memoryBytes must be a whole number', '--memory must be a whole number'],
    ['output must be a path', 'INDEX must be a path'],
    ['say which one with the option idColumn', 'say which one with --id-column'],
    ['zones that are empty', '--zones that are empty'],
    ['b.zgq exists; replace it with force: true', 'b.zgq exists; replace it with --force'],
    ['9 zones of 2048 vectors need memoryBytes of 98 MB', '9 zones of 2048 vectors need --memory of 98 MB'],
    ['begun with memoryBytes 536870912, called with 104857600', 'begun with --memory 512MB, called with 100MB'],
    ['leave out calibrate: false', 'leave out --no-calibrate'],
    ['exact: true finds all', 'exact: true finds all'],
    ['the index has zones', 'the index has zones']
  ])('of the library name options as they were typed: %s', (message, expected) => {
    expect(inWordsOf(BUILD, message)).toBe(expected)
  })

  it.each([
    [['build', 'x.fbin', 'y', '--memory', '1MB'], '--memory must be at least 64MB, found 1MB'],
    [['build', 'x.fbin', 'y', '--stage', 'assign', '--shard', '5/2'], '--shard I/N must have I from 1 to N, found 5/2'],
    [
      ['search', 'x', 'y', '--recall', '.9', '--exact'],
      'give one of --recall, --nprobe and --exact, found --recall and --exact'
    ],
    [['eval', 'x', 'y', 'z.ivecs', '--recall', '.9,1'], '--recall must be above 0 and below 1, found 1']
  ])('of wrong values name the option that was typed: %j', (words, message) => {
    const { code, stdout, stderr } = runZgq(...words)
    expect({ code, stdout, first: stderr.split('\n')[0] }).toEqual({ code: 2, stdout: '', first: `zgq: ${message}` })
  })

  it.each([
    [0, 'zone', '0 zones'],
    [1, 'zone', '1 zone'],
    [1, 'query', '1 query'],
    [2, 'query', '2 queries'],
    [12_345, 'row', '12,345 rows']
  ])('count %d of %s', (count, noun, words) => {
    expect(countOf(count, noun)).toBe(words)
  })
})
