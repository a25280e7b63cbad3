// The entry `zgq/s3`: reading an index from a bucket by signed requests, in Node and in browsers.

export { s3Source, type S3SourceOptions } from './publish/s3-source.ts'
export type { S3ClientLike, S3Options } from './publish/s3-bucket.ts'
export type { ByteSource, GotBytes } from './remote/byte-source.ts'
export { ZgqError, type ZgqErrorCode } from './errors.ts'
