// Makes an empty index: a folder with a catalogue and nothing else, put into its place by one rename.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

import { refuseAsarPath } from '../asar-path.ts'
import { expectOwnDisk } from '../catalogue/open-for-changes.ts'
import { writeCatalogue } from '../catalogue/writer.ts'
import type { CreateOptions } from '../change-types.ts'
import { describe } from '../describe.ts'
import { systemCode, wrapWriteError, ZgqError } from '../errors.ts'
import { checkFields, type DeclaredField } from '../format/fields.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { CATALOGUE_NAME, MAX_DIM } from '../format/layout.ts'
import { expectBits, expectMetric, expectModel, expectNote } from '../input/index-facts.ts'
import { checkOpenOptions, SHARED_NAMES } from '../open-options.ts'
import { checkOptionNames, expectOneOf, expectWholeNumber } from '../options.ts'
import { seededRandom } from '../quantizer/random.ts'
import { drawFlips } from '../quantizer/rotation.ts'
import { syncFolder } from '../storage/file-writer.ts'
import type { OpenOptions } from '../types.ts'

const DEFAULT_BITS = 4
/** All indexes that are made empty have one rotation: where zones come from it, they are the same on every machine. */
const ROTATION_SEED = 1
const OWN_NAMES: readonly (keyof CreateOptions)[] = ['dim', 'metric', 'ids', 'fields', 'bits', 'note']

/**
 * Makes the index and returns the options to open it with. Throws ZGQ_EXISTS, ZGQ_NOT_FOUND where the folder around it
 * is missing, ZGQ_READ_ONLY, ZGQ_UNSUPPORTED or ZGQ_IO; TypeError and RangeError for options.
 */
export function createIndex(path: string, options: CreateOptions): OpenOptions {
  checkOptionNames('create', options, [...OWN_NAMES, ...SHARED_NAMES])
  const { dim, metric = 'l2', ids = 'integer', fields, bits = DEFAULT_BITS, note, ...open } = options
  expectWholeNumber('dim', dim, { least: 1, most: MAX_DIM })
  expectOneOf('ids', ids, ['integer', 'string'])
  checkOpenOptions(open, 'create', SHARED_NAMES)
  const meta = { dim, metric: expectMetric('metric', metric), bits: expectBits('bits', bits), idType: ids }
  const documents = {
    fields: fields === undefined ? [] : checkFields(fields),
    model: expectModel('model', open.model) ?? undefined,
    encodedNote: expectNote('note', note, 'create')
  }
  const place = resolve(path)
  refuseAsarPath(place)
  if (existsSync(dirname(place))) expectOwnDisk(dirname(place), open)
  publish(place, (folder) => {
    writeEmpty(folder, meta, documents)
  })
  return { ...open, mode: 'write' }
}

function writeEmpty(
  folder: string,
  meta: Pick<IndexMeta, 'dim' | 'metric' | 'bits' | 'idType'>,
  documents: {
    readonly fields: readonly DeclaredField[]
    readonly model: string | undefined
    readonly encodedNote: Uint8Array | undefined
  }
): void {
  const { dim, bits } = meta
  const flips = drawFlips(dim, seededRandom(ROTATION_SEED))
  writeCatalogue(join(folder, CATALOGUE_NAME), {
    meta: { ...meta, indexId: randomBytes(16), generation: 0, count: 0 },
    quantizer: bits === 0 ? undefined : { flips, mean: new Float32Array(dim) },
    build: {},
    files: [],
    segments: [],
    centroids: new Float32Array(0),
    zoneCodes: new Uint8Array(0),
    documents
  })
}

/** Has `write` fill a folder beside a place, and renames it there. */
export function publish(place: string, write: (folder: string) => void): void {
  if (existsSync(place)) throw alreadyThere(place)
  const folder = `${place}.${randomBytes(6).toString('hex')}`
  try {
    mkdirSync(folder)
    write(folder)
    syncFolder(folder)
    if (existsSync(place)) throw alreadyThere(place)
    renameSync(folder, place)
    syncFolder(dirname(place))
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw alreadyThere(place, error)
    throw wrapWriteError(error, place, 'make the index')
  }
}

export function alreadyThere(place: string, cause?: unknown): ZgqError {
  return new ZgqError('ZGQ_EXISTS', `${describe(place)} exists: choose another path, or open it`, {
    path: place,
    cause
  })
}
