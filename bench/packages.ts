// The packages under measurement, loaded by name at run time and typed here: the root's type check then needs neither
// dist/ nor bench/node_modules. Timings are of the published entries (dist/), never of src/.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import type * as BuildEntryModule from '../src/build.ts'
import type * as CheckEntryModule from '../src/check.ts'
import type * as Entry from '../src/index.ts'
import type * as PackEntryModule from '../src/pack.ts'
import type * as RemoteEntryModule from '../src/remote.ts'
import type koffi from 'koffi'

export type BuildEntry = typeof BuildEntryModule
export type CheckEntry = typeof CheckEntryModule
export type ZgqIndex = Entry.ZgqIndex

const requireHere = createRequire(import.meta.url)

export const ZGQ_FOLDER = dirname(requireHere.resolve('zgq/package.json'))
/** The `zgq` command, to be run by `process.execPath`. */
export const ZGQ_COMMAND = join(ZGQ_FOLDER, 'dist', 'zgq.js')

const requireFromZgq = createRequire(join(ZGQ_FOLDER, 'package.json'))

export async function loadZgq(): Promise<typeof Entry> {
  const name: string = 'zgq'
  return await import(name)
}

export async function loadZgqBuild(): Promise<BuildEntry> {
  const name: string = 'zgq/build'
  return await import(name)
}

export async function loadZgqCheck(): Promise<CheckEntry> {
  const name: string = 'zgq/check'
  return await import(name)
}

export async function loadZgqPack(): Promise<typeof PackEntryModule> {
  const name: string = 'zgq/pack'
  return await import(name)
}

export async function loadZgqRemote(): Promise<typeof RemoteEntryModule> {
  const name: string = 'zgq/remote'
  return await import(name)
}

/** Loads the koffi that zgq itself uses. */
export function loadKoffi(): typeof koffi {
  return requireFromZgq('koffi')
}

/** As much of better-sqlite3 as is used here. */
export interface Database {
  exec(sql: string): void
  prepare(sql: string): Statement
  close(): void
}
export interface Statement {
  run(...values: unknown[]): void
  pluck(): Statement
  all(...values: unknown[]): unknown[]
}

/** Loads the better-sqlite3 that zgq itself uses. */
export function loadDatabase(): new (path: string, options?: { readonly?: boolean }) => Database {
  return requireFromZgq('better-sqlite3')
}

/** Version of an installed package; for zgq with a digest of its code. */
export function packageVersion(name: string): string {
  return name === 'zgq' ? zgqVersion(ZGQ_FOLDER) : readVersion(join(import.meta.dirname, 'node_modules', name))
}

/** Version of the zgq in a folder with a digest of its code, which changes without its version. */
export function zgqVersion(folder: string): string {
  return `${readVersion(folder)}+${digestCode(join(folder, 'dist'))}`
}

function readVersion(folder: string): string {
  const { version }: { version: string } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return version
}

function digestCode(folder: string): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(folder)
    .filter((entry) => entry.endsWith('.js'))
    .sort())
    hash.update(readFileSync(join(folder, file)))
  return hash.digest('hex').slice(0, 8)
}

/**
 * Loads what `ZgqIndex.open` would load on first use, better-sqlite3's native part (loaded by its first database)
 * included.
 */
export function loadLazyModules(): void {
  new (loadDatabase())(':memory:').close()
  loadKoffi()
}

/** As much of hnswlib-node as is used here. Queries must be plain arrays. */
export interface HnswIndex {
  initIndex(options: { maxElements: number; m: number; efConstruction: number; randomSeed: number }): void
  addPoint(point: number[], label: number): void
  setEf(ef: number): void
  searchKnn(query: number[], k: number): { distances: number[]; neighbors: number[] }
  writeIndexSync(path: string): void
  readIndexSync(path: string): void
}

export function createHnsw(space: 'l2', dim: number): HnswIndex {
  const { HierarchicalNSW }: { HierarchicalNSW: new (space: string, dim: number) => HnswIndex } =
    requireHere('hnswlib-node')
  return new HierarchicalNSW(space, dim)
}
