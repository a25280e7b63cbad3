// What stands where a file of the index should: FIFOs, links, folders, files of another length.

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'

import { CATALOGUE } from '../forge/catalogue.ts'
import { CORRUPT, refused, type Forgery } from './forgery.ts'

/** Puts something else in the place of a data file. */
const instead = (title: string, make: (path: string) => void, codes: readonly string[] = CORRUPT): readonly Forgery[] =>
  (['vectors', 'codes'] as const).map((kind) =>
    refused(
      `${title} in the place of the ${kind} file`,
      (folder) => {
        const path = join(folder, `${kind}-000001-00000.zgq`)
        renameSync(path, `${path}.old`)
        make(path)
      },
      codes
    )
  )

export const NO_FILES: readonly Forgery[] = [
  ...instead('a FIFO', (path) => {
    execFileSync('mkfifo', [path])
  }),
  ...instead('a symbolic link to the file', (path) => {
    symlinkSync(`${path}.old`, path)
  }),
  ...instead('a symbolic link to a device', (path) => {
    symlinkSync('/dev/zero', path)
  }),
  ...instead('a symbolic link to itself', (path) => {
    symlinkSync(path, path)
  }),
  ...instead('a folder', (path) => {
    mkdirSync(path)
  }),
  ...instead('nothing', () => undefined),
  ...instead(
    'the file without its last byte',
    (path) => {
      writeFileSync(path, readFileSync(`${path}.old`).subarray(0, -1))
    },
    ['ZGQ_TRUNCATED']
  ),
  ...instead('the file and a page more', (path) => {
    writeFileSync(path, readFileSync(`${path}.old`))
    appendFileSync(path, Buffer.alloc(4096))
  }),
  ...instead('a file that ends after 64 GiB', (path) => {
    writeFileSync(path, readFileSync(`${path}.old`))
    truncateSync(path, 64 * 2 ** 30)
  }),
  ...(['mkfifo', 'link', 'folder'] as const).map((kind) =>
    refused(
      `no file in the place of the catalogue: ${kind}`,
      (folder) => {
        const path = join(folder, CATALOGUE)
        rmSync(path)
        if (kind === 'mkfifo') execFileSync('mkfifo', [path])
        else if (kind === 'link') symlinkSync('/dev/zero', path)
        else mkdirSync(path)
      },
      ['ZGQ_NOT_AN_INDEX']
    )
  ),
  ...['-wal', '-shm', '-journal'].flatMap((ending) =>
    ['', '/etc/passwd', '/nowhere'].map((target) =>
      refused(`a symbolic link beside the catalogue: ${ending} to ${target === '' ? 'a file' : target}`, (folder) => {
        const outside = `${folder}${ending}`
        if (target === '') writeFileSync(outside, 'a secret')
        symlinkSync(target === '' ? outside : target, join(folder, CATALOGUE + ending))
      })
    )
  )
]
