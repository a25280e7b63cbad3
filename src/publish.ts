// The entry `zgq/publish`: putting an index where others read it, in a bucket or in a folder for a web server.

export { publishIndex, type PublishOptions } from './publish/publish-index.ts'
export type { PublishProgress, PublishReport } from './pack/publish-plan.ts'
export type { FileContent, ObjectStore } from './pack/object-store.ts'
export { folderStore } from './pack/folder-store.ts'
export { s3Store } from './publish/s3-store.ts'
export type { S3ClientLike, S3Options } from './publish/s3-bucket.ts'
export type { ByteSource, GotBytes } from './remote/byte-source.ts'
export { ZgqError, type ZgqErrorCode } from './errors.ts'
