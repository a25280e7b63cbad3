// The data sets by name: where their files are, which metric they are searched with, and prefixes of sift1m as files of
// their own.

import { closeSync, existsSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { JOINED_QUICK_SETS, JOINED_SETS, makeJoined } from './joined-sets.ts'
import { writeTruth } from './truth.ts'

export interface DataSet {
  readonly name: string
  readonly metric: 'l2' | 'cosine'
  readonly base: string
  readonly queries: string
  readonly truth: string
  /** Queries to run at most. */
  readonly queryLimit: number
  /** Number of a query from which on queries are of another kind; recall is then shown for both apart. */
  readonly splitAt: number | undefined
}

const FOLDER_SETS = ['sift1m-10k', 'sift1m-100k', 'sift1m-1m', 'glove', 'fashion', 'use50k'] as const
type SetName = (typeof FOLDER_SETS)[number]
const TEST_SETS = ['sift10k', 'wordnet'] as const
type QuickName = (typeof TEST_SETS)[number]
/** Sets below --data. */
export const SET_NAMES: readonly string[] = [...FOLDER_SETS, ...JOINED_SETS.map(({ name }) => name)]
/** Sets in this repository (test/data). */
export const QUICK_SETS: readonly string[] = [...TEST_SETS, ...JOINED_QUICK_SETS.map(({ name }) => name)]

const SIFT_PARTS = {
  'sift1m-10k': { rows: 10_000, truth: 'groundtruth.first10k.ivecs' },
  'sift1m-100k': { rows: 100_000, truth: 'groundtruth.first100k.ivecs' },
  'sift1m-1m': { rows: undefined, truth: 'groundtruth.1m.ivecs' }
} as const

/**
 * Finds a set of the repository or below `data`; prefixes, joined rows and missing truth are written to `work` on first
 * use.
 */
export async function findDataSet(name: string, data: string | undefined, work: string): Promise<DataSet> {
  const quick = TEST_SETS.find((candidate) => candidate === name)
  if (quick !== undefined) return await locateQuick(quick, work)
  const joined = [...JOINED_QUICK_SETS, ...JOINED_SETS].find((candidate) => candidate.name === name)
  if (joined !== undefined) {
    const source = await findDataSet(joined.source, data, work)
    const files = await makeJoined(joined, source.base, work)
    return { name, metric: 'cosine', ...files, queryLimit: joined.queries, splitAt: undefined }
  }
  const known = FOLDER_SETS.find((candidate) => candidate === name)
  if (known === undefined)
    throw new Error(`${name} is no data set; expected one of ${[...QUICK_SETS, ...SET_NAMES].join(', ')}`)
  if (data === undefined)
    throw new Error(`${name} is not part of this repository: --data is missing; see README.md for its layout`)
  const set = locate(known, data, work)
  for (const path of [set.base, set.queries, set.truth]) {
    if (!existsSync(path)) throw new Error(`${path} is missing; see README.md for the layout of --data`)
  }
  return set
}

async function locateQuick(name: QuickName, work: string): Promise<DataSet> {
  const file = (ending: string): string => fileURLToPath(new URL(`../test/data/${name}.${ending}`, import.meta.url))
  const shared = { name, queryLimit: 1000, splitAt: undefined }
  if (name === 'sift10k')
    return {
      ...shared,
      metric: 'l2',
      base: file('base.u8bin'),
      queries: file('queries.u8bin'),
      truth: file('truth.ivecs')
    }
  const [base, queries] = [file('base.f16bin'), file('queries.f16bin')]
  return {
    ...shared,
    metric: 'cosine',
    base,
    queries,
    truth: await writeTruth({ base, queries, metric: 'cosine' }, join(work, `${name}.truth.ivecs`))
  }
}

function locate(name: SetName, data: string, work: string): DataSet {
  const shared = { name, queryLimit: 1000, splitAt: undefined }
  switch (name) {
    case 'sift1m-10k':
    case 'sift1m-100k':
    case 'sift1m-1m': {
      const { rows, truth } = SIFT_PARTS[name]
      const whole = join(data, 'sift1m', 'base.u8bin')
      const base = rows === undefined ? whole : writePrefix(whole, rows, join(work, `${name}.u8bin`))
      return {
        ...shared,
        metric: 'l2',
        base,
        queries: join(data, 'sift1m', 'queries.u8bin'),
        truth: join(data, 'sift1m', truth)
      }
    }
    case 'glove':
      return { ...shared, metric: 'cosine', ...folder(join(data, name), 'fvecs') }
    case 'fashion':
      return { ...shared, metric: 'l2', ...folder(join(data, name), 'u8bin') }
    case 'use50k':
      return { ...shared, metric: 'cosine', ...folder(join(data, name), 'f16bin'), queryLimit: 2000, splitAt: 1000 }
  }
}

function folder(path: string, ending: string): { base: string; queries: string; truth: string } {
  return {
    base: join(path, `base.${ending}`),
    queries: join(path, `queries.${ending}`),
    truth: join(path, 'groundtruth.ivecs')
  }
}

/** Writes the first rows of a .u8bin file (u32 n, u32 d, n * d bytes) as a file of its own; returns its path. */
export function writePrefix(from: string, rows: number, to: string): string {
  if (existsSync(to)) return to
  const descriptor = openSync(from, 'r')
  try {
    const header = Buffer.alloc(8)
    readSync(descriptor, header)
    const bytes = Buffer.alloc(8 + rows * header.readUInt32LE(4))
    if (readSync(descriptor, bytes, { position: 0 }) !== bytes.length)
      throw new Error(`${from} has fewer than ${rows} rows`)
    bytes.writeUInt32LE(rows, 0)
    writeFileSync(to, bytes)
    return to
  } finally {
    closeSync(descriptor)
  }
}
