// Where a page may be written, over what, and what is left when that fails.

import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, vi } from 'vitest'

import { UsageError } from '../tools/arguments.ts'
import { writePage } from '../tools/write-page.ts'
import { codeOf } from './support/errors.ts'
import { faults, resetFaults } from './support/failing-fs.ts'
import { useTempFolder } from './support/temp-folder.ts'

vi.mock('node:fs', async (importOriginal) =>
  (await import('./support/failing-fs.ts')).failingFs(await importOriginal())
)

const temp = useTempFolder('page')
const PAGE = '<!doctype html>\n<title>new</title>\n'
const index = temp.fresh('index')
mkdirSync(index)

/** A folder with a file in it, or with nothing. */
function place(content?: string): { folder: string; file: string } {
  const folder = temp.fresh('place')
  mkdirSync(folder)
  const file = join(folder, 'page.html')
  if (content !== undefined) writeFileSync(file, content)
  return { folder, file }
}

const write = (path: string): number => writePage(path, { html: PAGE, index })
const left = (folder: string): Record<string, string> =>
  Object.fromEntries(
    temp.list(folder.slice(temp.path.length + 1)).map((name) => [name, readFileSync(join(folder, name), 'utf8')])
  )

beforeEach(() => {
  resetFaults()
})

describe('a page', () => {
  it.each([
    ['where nothing was', undefined],
    ['over an earlier page', '<!DOCTYPE HTML>\nold'],
    ['over an empty file', '']
  ])('is written %s, and nothing else', (_, before) => {
    const { folder, file } = place(before)
    expect(write(file)).toBe(PAGE.length)
    expect(left(folder)).toEqual({ 'page.html': PAGE })
  })

  it('is written to where a link points', () => {
    const { folder, file } = place('<!doctype html>')
    const link = join(folder, 'link')
    symlinkSync(file, link)
    write(link)
    expect(left(folder)).toEqual({ 'page.html': PAGE, link: PAGE })
  })

  it.each([
    ['text', 'text that someone wrote'],
    ['a shorter file', '<!doc'],
    ['an index file', 'SQLite format 3\0']
  ])('does not replace %s: ZGQ_EXISTS', (_, before) => {
    const { folder, file } = place(before)
    expect(codeOf(() => write(file))).toBe('ZGQ_EXISTS')
    expect(left(folder)).toEqual({ 'page.html': before })
  })

  it('does not replace a folder or a device: ZGQ_EXISTS', () => {
    expect([place().folder, '/dev/null'].map((path) => codeOf(() => write(path)))).toEqual(['ZGQ_EXISTS', 'ZGQ_EXISTS'])
  })

  it('is not written into the folder of the index, under any name or by any way', () => {
    const link = temp.fresh('link')
    symlinkSync(index, link)
    for (const path of [join(index, 'catalogue.sqlite-journal'), join(link, 'page.html')])
      expect(() => write(path)).toThrow(UsageError)
    expect(left(index)).toEqual({})
  })

  it('needs a folder: ZGQ_NOT_FOUND', () => {
    expect(codeOf(() => write(join(temp.fresh('nowhere'), 'page.html')))).toBe('ZGQ_NOT_FOUND')
  })

  it('needs a path', () => {
    expect(() => write('')).toThrow(UsageError)
  })

  it('leaves what was there when the disk is full: ZGQ_IO', () => {
    const { folder, file } = place('<!doctype html>old')
    faults.bytesLeft = 10
    expect(codeOf(() => write(file))).toBe('ZGQ_IO')
    expect(left(folder)).toEqual({ 'page.html': '<!doctype html>old' })
  })

  it('leaves what was there when any call fails', () => {
    const { file } = place('<!doctype html>old')
    resetFaults()
    write(file)
    const calls = faults.calls.length
    for (let call = 0; call < calls; call++) {
      const { folder, file: fresh } = place('<!doctype html>old')
      resetFaults()
      faults.failingCall = call
      const error = codeOf(() => write(fresh))
      resetFaults()
      expect({ call, error }).toEqual({ call, error: 'ZGQ_IO' })
      expect(left(folder)).toEqual({ 'page.html': '<!doctype html>old' })
    }
    expect(calls).toBeGreaterThan(5)
  })

  it('is not written into a folder that cannot be: ZGQ_READ_ONLY', () => {
    const { folder, file } = place()
    chmodSync(temp.path, 0o755)
    chmodSync(folder, 0o555)
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.(65534)
    try {
      expect(codeOf(() => write(file))).toBe('ZGQ_READ_ONLY')
    } finally {
      if (isRoot) process.seteuid?.(0)
      chmodSync(folder, 0o755)
    }
    expect(left(folder)).toEqual({})
  })
})
