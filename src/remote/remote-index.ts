// An index that is read from afar. Where it was replaced meanwhile, it is opened anew and the call is repeated once.

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import type { DiskInfo } from '../search/index-info.ts'
import type { IndexInfo } from '../info-types.ts'
import { findLater, readDocumentLater, readVectorLater, takeMasks } from '../pool/later-documents.ts'
import { checkOptionNames, expectSignal } from '../options.ts'
import { describeIndex } from '../search/index-info.ts'
import { expectId } from '../search/lookup.ts'
import { SeenQueries } from '../search/seen-queries.ts'
import { unlessAborted } from '../storage/async-reader.ts'
import type { AsyncSearchOptions, Filter, Hit, Id, IdQuery, Payload, QueryVector, StoredDocument } from '../types.ts'
import { ChangedObject, type ByteSource } from './byte-source.ts'
import { RangeReader, type ReadTally } from './range-reader.ts'
import { checkRemoteOptions, type CheckedRemoteOptions, type RemoteOptions } from './remote-options.ts'
import { searchSession, type RemoteExplain } from './remote-search.ts'
import { RemoteSession } from './remote-session.ts'

/** Facts about an index that is read from afar. */
export interface RemoteInfo extends Omit<IndexInfo, keyof DiskInfo> {
  /** SHA-256 in hex of all that it says: `zgq pack` and `zgq publish` print it. */
  readonly digest: string
  /** Number of the manifest that was found; null: it is one file. */
  readonly manifest: number | null
  /** What opening it took. */
  readonly opening: Readonly<ReadTally>
  /** What the way to it is like, as far as requests have shown; null: not known yet. */
  readonly network: { readonly latencyMs: number | null; readonly bytesPerSecond: number | null }
}

/** Result of a search with `explain: true`. */
export interface RemoteExplainedHits<I extends Id = number, P = Payload> {
  readonly hits: Hit<I, P>[]
  readonly explain: RemoteExplain
}

/** Options of calls that look a row up. */
export interface LookupOptions {
  /** Ends the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** A session, and how many calls are under way in it. */
interface HeldSession {
  readonly session: RemoteSession
  calls: number
}

/**
 * Opens a packed index where it is: at an URL, which names a file that `zgq pack` made, or, ending in `/`, a folder by
 * `zgq pack --folder`; or in any source of bytes. Reads its head in one or two rounds of requests, and nothing else.
 * Rejects with ZGQ_NOT_FOUND, ZGQ_NOT_AN_INDEX, ZGQ_UNSUPPORTED (a server without ranges, another version of the
 * format), ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_MISMATCH (another model) or ZGQ_IO; with the reason of `signal`; TypeError
 * or RangeError for bad options.
 */
export async function openRemote<I extends Id = number, P = Payload>(
  from: string | URL | ByteSource,
  options: RemoteOptions = {}
): Promise<RemoteIndex<I, P>> {
  return await RemoteIndex.open<I, P>(from, options)
}

/**
 * A packed index that is read by ranges, for searching. Instances come from `openRemote`. `I` is the type of its ids,
 * `P` that of its payloads; both are for the compiler. All that is fetched is held against its checksum.
 */
export class RemoteIndex<I extends Id = number, P = Payload> {
  readonly #options: CheckedRemoteOptions
  readonly #seen = new SeenQueries()
  #reader: RangeReader
  #held: HeldSession
  /** With calls that are under way, of states that are gone. */
  readonly #before = new Set<HeldSession>()
  #opening: Promise<boolean> | undefined
  /** Reads what is being opened. */
  #openingReader: RangeReader | undefined
  #isClosed = false

  private constructor(of: { reader: RangeReader; session: RemoteSession; options: CheckedRemoteOptions }) {
    this.#options = of.options
    this.#reader = of.reader
    this.#held = { session: of.session, calls: 0 }
  }

  /** Use `openRemote`. */
  static async open<I extends Id = number, P = Payload>(
    from: string | URL | ByteSource,
    options: RemoteOptions
  ): Promise<RemoteIndex<I, P>> {
    const checked = checkRemoteOptions(from, options)
    const reader = new RangeReader(checked.source, checked.requests)
    try {
      const session = await openSession(reader, checked, checked.signal)
      return new RemoteIndex<I, P>({ reader, session, options: checked })
    } catch (error) {
      reader.close()
      throw error
    }
  }

  /**
   * Finds the vectors nearest to `query`, nearest first, with the options of `ZgqIndex.searchAsync`; the hits are those
   * that the index gives on disk. `explain` also tells of requests, bytes and rounds. Rejects as `ZgqIndex.search`
   * throws for query and options; with ZGQ_IO where the network or the server fails, after which the next search may
   * work; ZGQ_UNSUPPORTED; ZGQ_CORRUPT or ZGQ_TRUNCATED for what was fetched; ZGQ_CLOSED; the reason of `signal`.
   */
  search(
    query: QueryVector | IdQuery<I>,
    options: AsyncSearchOptions & { readonly explain: true }
  ): Promise<RemoteExplainedHits<I, P>>
  search(
    query: QueryVector | IdQuery<I>,
    options?: AsyncSearchOptions & { readonly explain?: false | undefined }
  ): Promise<Hit<I, P>[]>
  search(
    query: QueryVector | IdQuery<I>,
    options?: AsyncSearchOptions
  ): Promise<Hit<I, P>[] | RemoteExplainedHits<I, P>>
  async search(query: QueryVector | IdQuery<Id>, options: AsyncSearchOptions = {}): Promise<unknown> {
    return await this.#repeating((session) => searchSession(session, { query, options, seen: this.#seen }), options)
  }

  /** Tells whether the index has a row with this id. Rejects as `search` does for what it fetches. */
  async has(id: I, options: LookupOptions = {}): Promise<boolean> {
    const { signal } = checkLookup('has', options)
    return await this.#repeating(async (session) => {
      expectId(id, session.context.documents)
      return (await findLater(session, id, signal)) !== undefined
    }, options)
  }

  /** Returns the vector with this id, as it was given, or undefined. Rejects as `search` does for what it fetches. */
  async get(id: I, options: LookupOptions = {}): Promise<Float32Array | undefined> {
    const { signal } = checkLookup('get', options)
    return await this.#repeating(async (session) => {
      expectId(id, session.context.documents)
      return (await readVectorLater(session, id, signal))?.vector
    }, options)
  }

  /**
   * Returns the row with this id, its vector and its payload, or undefined. Rejects as `search` does for what it
   * fetches.
   */
  document(id: I, options?: LookupOptions): Promise<StoredDocument<I, P> | undefined>
  async document(id: Id, options: LookupOptions = {}): Promise<StoredDocument<Id, unknown> | undefined> {
    const { signal } = checkLookup('document', options)
    return await this.#repeating(async (session) => {
      expectId(id, session.context.documents)
      return await readDocumentLater(session, id, signal)
    }, options)
  }

  /** Counts the rows, or those that meet a filter. Rejects with ZGQ_FILTER, and as `search` does. */
  async count(filter?: Filter, options: LookupOptions = {}): Promise<number> {
    const { signal } = checkLookup('count', options)
    return await this.#repeating(async (session) => {
      if (filter === undefined) return session.count
      const { filters } = session.context.documents
      const masks = await takeMasks(session, filters.compile(filter), signal)
      filters.giveBack(masks)
      return masks.matchCount
    }, options)
  }

  /** Returns facts about the index; fetches nothing. Throws ZGQ_CLOSED. */
  info(): RemoteInfo {
    this.#expectOpen()
    const { session } = this.#held
    const { digest, manifest = null, opening } = session
    const { latencyMs, bytesPerSecond } = this.#reader.measured
    return {
      ...describeIndex(session, this.#seen),
      digest,
      manifest,
      opening,
      network: { latencyMs: latencyMs ?? null, bytesPerSecond: bytesPerSecond ?? null }
    }
  }

  /**
   * Looks whether the index was replaced, or a folder has a newer manifest, and takes it; tells whether there was one.
   * Calls that are under way go on with what they began with. Rejects as `openRemote` does.
   */
  async refresh(): Promise<boolean> {
    this.#expectOpen()
    return await this.#reopen(this.#held)
  }

  /** Gives up what is under way, which rejects with ZGQ_CLOSED. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#openingReader?.close()
    this.#held.session.close()
    for (const { session } of this.#before) session.close()
    this.#before.clear()
  }

  #expectOpen(): void {
    if (!this.#isClosed) return
    throw new ZgqError('ZGQ_CLOSED', 'the index was closed', { path: this.#options.source.place })
  }

  /** Works in a session; where the index was replaced under it, once more in the one that takes its place. */
  async #repeating<Result>(work: (session: RemoteSession) => Promise<Result>, options: LookupOptions): Promise<Result> {
    this.#expectOpen()
    const held = this.#held
    try {
      return await this.#holding(held, work)
    } catch (error) {
      if (this.#isClosed || !isReplaced(error, held.session)) throw error
      if (!(await unlessAborted(options.signal, async () => await this.#reopen(held)))) throw error
      return await this.#holding(this.#held, work)
    }
  }

  async #holding<Result>(held: HeldSession, work: (session: RemoteSession) => Promise<Result>): Promise<Result> {
    held.calls++
    try {
      return await work(held.session)
    } finally {
      held.calls--
      if (held.calls === 0 && this.#before.delete(held)) held.session.close()
    }
  }

  /** Opens anew what has taken the place of a session; tells whether it is another one. */
  async #reopen(held: HeldSession): Promise<boolean> {
    if (this.#held !== held) return true // somebody has done it
    this.#opening ??= this.#openNext(held).finally(() => {
      this.#opening = undefined
    })
    return await this.#opening
  }

  async #openNext(held: HeldSession): Promise<boolean> {
    const reader = this.#reader.renew()
    this.#openingReader = reader
    const session = await openSession(reader, this.#options, undefined)
    if (this.#isClosed) session.close()
    this.#expectOpen()
    if (session.digest === held.session.digest && !held.session.isOutdated) {
      session.close()
      return false
    }
    this.#reader = reader
    this.#held = { session, calls: 0 }
    if (held.calls > 0) this.#before.add(held)
    else held.session.close()
    return true
  }
}

async function openSession(
  reader: RangeReader,
  options: CheckedRemoteOptions,
  signal: AbortSignal | undefined
): Promise<RemoteSession> {
  const session = await RemoteSession.open(reader, options, signal)
  const { model, snapshot } = { model: options.model, snapshot: session.snapshot }
  if (model === undefined || snapshot.model === undefined || snapshot.model === model) return session
  session.close()
  throw new ZgqError(
    'ZGQ_MISMATCH',
    `the vectors are of model ${describe(snapshot.model)}, the queries of model ${describe(model)}: they cannot be ` +
      'compared',
    { path: snapshot.folder }
  )
}

function checkLookup(what: string, options: LookupOptions): LookupOptions {
  checkOptionNames(what, options, ['signal'])
  expectSignal('signal', options.signal)
  return options
}

/** Parts of a folder are replaced by others, and may be removed some time later; a file is replaced as it is. */
function isReplaced(error: unknown, session: RemoteSession): boolean {
  if (error instanceof ChangedObject) {
    session.isOutdated = true
    return true
  }
  return error instanceof ZgqError && error.code === 'ZGQ_NOT_FOUND' && session.manifest !== undefined
}
