// Entry of the WebAssembly module: exports only. Pointers are byte offsets in the module's memory, which JavaScript
// lays out. Every function has a twin in ../scalar-kernel.ts with the same arithmetic in the same order: results are
// equal to the bit.

export { l2Distances, l2DistancesAt, innerProducts, innerProductsAt, squaredNorms } from './distances'
export { scan } from './scan'
export { heapInit, heapSort, selectSmallest, selectNearest } from './select'
export { assign, quantizeRows } from './assign'
export { scanQueries } from './scan-queries'
export { addRows, normalizeRows, subtractRow } from './rows'
export { rotateRows } from './rotate'
export { encodeQuery, scaleQuery } from './query'
export { encodeBlock } from './encode'
export { buildTables } from './tables'
export { estimateBlocks } from './sign-blocks'
export { packCentroid, packedDistances } from './centroids'
export { rerank } from './rerank'
export { searchCodes } from './search'
export { scanCodes, sortCandidates } from './scan-codes'
export { offerRecorded, scanTogether } from './scan-together'
