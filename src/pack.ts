// The entry `zgq/pack`: an index as one file, or as a folder of files, for `openRemote` of `zgq/remote`.

export { packIndex, type PackOptions, type PackReport } from './pack/pack-index.ts'
export type { PackProgress } from './pack/steady-index.ts'
export { ZgqError, type ZgqErrorCode } from './errors.ts'
