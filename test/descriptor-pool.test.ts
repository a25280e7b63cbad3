// Files that are opened when they are read: how many stay open, and which.

import { closeSync, fstatSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'

import { DescriptorPool } from '../src/storage/descriptor-pool.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('descriptor-pool')
const opened: number[] = []
let pool: DescriptorPool | undefined

afterEach(() => {
  pool?.close()
})

function openPool(most: number): DescriptorPool {
  opened.length = 0
  pool = new DescriptorPool({
    most,
    open(file) {
      opened.push(file)
      const path = join(temp.path, String(file))
      writeFileSync(path, String(file))
      return openSync(path, 'r')
    }
  })
  return pool
}

it('a file is opened once while there is room', () => {
  const files = openPool(2)
  const first = files.get(0)
  expect(files.get(1)).not.toBe(first)
  expect(files.get(0)).toBe(first)
  expect(opened).toEqual([0, 1])
})

it('the least recently used file is closed for a new one', () => {
  const files = openPool(2)
  files.get(0)
  files.get(1)
  files.get(0)
  files.get(2)
  files.get(0)
  expect(opened).toEqual([0, 1, 2])
  files.get(1)
  expect(opened).toEqual([0, 1, 2, 1])
})

it('closing closes all files, and a second time nothing', () => {
  const files = openPool(2)
  const descriptors = [files.get(0), files.get(1)]
  files.close()
  files.close()
  for (const descriptor of descriptors) expect(() => fstatSync(descriptor)).toThrow('EBADF')
  expect(() => {
    closeSync(descriptors[0])
  }).toThrow('EBADF')
})
