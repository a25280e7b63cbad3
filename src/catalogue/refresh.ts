// Reads what is new in a catalogue since somebody read it, over a connection that stays open.

import { ZgqError } from '../errors.ts'
import { decodeChangesMeta, type ChangesMeta } from '../format/changes-record.ts'
import { decodeIndexMeta, type IndexMeta } from '../format/index-record.ts'
import { bytesEqual } from '../format/layout.ts'
import { expectVersion } from '../format/version.ts'
import { readChangesTo, type Changes } from './changes.ts'
import type { Database, Statement } from './driver.ts'
import { readSnapshot } from './reader.ts'
import { readMeta } from './rows.ts'
import { expectSchema } from './schema.ts'
import type { Snapshot } from './snapshot.ts'

/** What somebody knows of an index: its files and segments, and its changes up to some state. */
export interface KnownState {
  readonly snapshot: Snapshot
  readonly since: ChangesMeta
}

/** What is new. */
export interface NewState {
  /** Undefined where files, segments and zones are those that are known; else its `changes` are those below. */
  readonly snapshot: Snapshot | undefined
  readonly changes: Changes
}

/** Where a catalogue is. */
interface CataloguePlace {
  readonly path: string
  /** The file that is read in its place: a copy of it. */
  readonly opened?: string
}

/** Reads what is new in a transaction that its caller has begun. */
export function readNewState(database: Database, before: KnownState, place: CataloguePlace): NewState {
  const { path } = place
  const { snapshot: known, since } = before
  const values = readMeta(database, path)
  const meta = decodeIndexMeta(values.get('index'), path)
  expectIndex(meta, known.meta.indexId, path)
  // Not by its path: it may have been moved away since it was opened.
  const catalogueBytes = Number(database.pragma('page_count')) * Number(database.pragma('page_size'))
  if (bytesEqual(meta.digest, known.meta.digest)) {
    const changed = decodeChangesMeta(values.get('changes'), path)
    const source = { meta, segments: known.segments, since, path, catalogueBytes }
    return { snapshot: undefined, changes: readChangesTo(database, changed, source) }
  }
  const source = { values, version: meta.version, since, catalogueBytes, path }
  const { folder, cataloguePath, stamp } = known
  const snapshot = { ...readSnapshot(database, source), folder, cataloguePath, stamp }
  return { snapshot, changes: snapshot.changes }
}

/** Throws ZGQ_MISMATCH for another index than the one with an id. */
export function expectIndex(meta: Pick<IndexMeta, 'indexId'>, indexId: Uint8Array, path: string): void {
  if (bytesEqual(meta.indexId, indexId)) return
  throw new ZgqError('ZGQ_MISMATCH', 'the index was replaced by another one: open it again', { path })
}

/** Looks at version and schema again where another connection may have changed them. */
export class SchemaWatch {
  readonly #database: Database
  readonly #userVersion: Statement
  readonly #schemaVersion: Statement
  #seen: unknown

  constructor(database: Database) {
    this.#database = database
    this.#userVersion = database.prepare('PRAGMA user_version')
    this.#schemaVersion = database.prepare('PRAGMA schema_version')
  }

  /** Throws ZGQ_UNSUPPORTED for a newer version, ZGQ_CORRUPT for another schema. */
  expectOurs(path: string): void {
    expectVersion(Number(this.#userVersion.all()[0]?.[0]), { path })
    const version = this.#schemaVersion.all()[0]?.[0]
    if (version === this.#seen) return
    expectSchema(this.#database, path)
    this.#seen = version
  }
}
