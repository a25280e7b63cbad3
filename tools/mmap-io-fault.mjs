// Shows why zgq maps files through koffi and only on request through mmap-io, which keeps sizes and offsets in 32 bits:
// a mapping of more than 4 GiB comes back short, and one at an offset past 2 GiB shows other bytes, both without an
// error. Not part of the command; run it by hand: node tools/mmap-io-fault.mjs It makes a file of 5 GiB that takes no
// room on the disk, and removes it.

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const GIB = 2 ** 30
const PAGE = 4096
/** Offsets in the file, in GiB, where a page begins with that number in words. */
const MARKS = { 0: 'at 0 GiB', 1: 'at 1 GiB', 4: 'at 4 GiB', 5: 'at 5 GiB' }

function loadMmapIo() {
  try {
    return createRequire(new URL('../test/mmap-io/package.json', import.meta.url))('mmap-io')
  } catch (error) {
    const standard = Number(process.versions.node.split('.')[0]) >= 24 ? 'c++20' : 'c++17'
    console.error(
      `mmap-io does not load: ${error.message.split('\n')[0]}\nInstall it with: cd test/mmap-io && ` +
        `CXXFLAGS=-std=${standard} npm ci`
    )
    process.exit(1)
  }
}

function makeFile(path) {
  const descriptor = openSync(path, 'w+')
  ftruncateSync(descriptor, 5 * GIB + PAGE)
  for (const [gib, mark] of Object.entries(MARKS)) writeSync(descriptor, mark, Number(gib) * GIB)
  return descriptor
}

function report(what, expected, found) {
  console.log(
    `${what}\n  expected  ${expected}\n  found     ${found}\n  ` +
      `${expected === found ? 'right' : 'wrong, and no error was thrown'}`
  )
  return expected === found
}

const mmapIo = loadMmapIo()
const folder = mkdtempSync(join(tmpdir(), 'zgq-mmap-io-fault-'))
try {
  const descriptor = makeFile(join(folder, 'sparse'))
  const map = (byteLength, offset) => mmapIo.map(byteLength, mmapIo.PROT_READ, mmapIo.MAP_SHARED, descriptor, offset)
  const markIn = (buffer) => buffer.toString('latin1', 0, MARKS[0].length)
  const results = [
    report('map 1 GiB + 4,096 bytes: bytes mapped', GIB + PAGE, map(GIB + PAGE, 0).length),
    report('map 4 GiB + 4,096 bytes: bytes mapped', 4 * GIB + PAGE, map(4 * GIB + PAGE, 0).length),
    report('map a page at 1 GiB: what it begins with', MARKS[1], markIn(map(PAGE, GIB))),
    report('map a page at 4 GiB: what it begins with', MARKS[4], markIn(map(PAGE, 4 * GIB))),
    report('map a page at 5 GiB: what it begins with', MARKS[5], markIn(map(PAGE, 5 * GIB)))
  ]
  closeSync(descriptor)
  console.log(`${results.filter((isRight) => !isRight).length} of ${results.length} wrong`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
