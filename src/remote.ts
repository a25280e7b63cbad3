// Entry zgq/remote: searches packed indexes where they are, on any server of static files, in Node, in browsers and in
// their workers. It imports no Node module (test/remote-bundle.test.ts).

export { ZgqError, type ZgqErrorCode } from './errors.ts'
export type { ByteSource, GotBytes } from './remote/byte-source.ts'
export type { NetworkUse } from './remote/counted-fetches.ts'
export { httpSource, type HttpSourceOptions } from './remote/http-source.ts'
export {
  openRemote,
  type LookupOptions,
  type RemoteExplainedHits,
  type RemoteIndex,
  type RemoteInfo
} from './remote/remote-index.ts'
export type { ReadTally } from './remote/range-reader.ts'
export type { RemoteOptions } from './remote/remote-options.ts'
export type { RemoteExplain } from './remote/remote-search.ts'
export type { AsyncSearchOptions, Filter, Hit, Id, IdQuery, Payload, QueryVector, StoredDocument } from './types.ts'
