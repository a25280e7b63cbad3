// Entry zgq/remote: what searches an index whose bytes come from elsewhere, in Node, in browsers and in their workers. It
// imports no Node module (test/remote-bundle.test.ts).

export { ZgqError, type ZgqErrorCode } from './errors.ts'
export { searchDocumentsLater, readVectorLater } from './pool/later-documents.ts'
export { ThreadTurns } from './pool/turns.ts'
export { Fetcher } from './search/fetcher.ts'
export { checkWants } from './search/hit-wants.ts'
export { describeIndex, describeZones } from './search/index-info.ts'
export { checkAsyncRequest, requestedIndex } from './search/request.ts'
export { searchLater } from './search/search-later.ts'
export { openSegmentFiles, startContext } from './search/start-context.ts'
