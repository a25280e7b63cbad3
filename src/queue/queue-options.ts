// Options that builds on a queue and their workers have in common.

import { describe } from '../describe.ts'
import { parseRedisUrl } from './redis-url.ts'

/** Options for buckets. */
export const S3_NAMES = ['client', 'endpoint', 'region']

/** Throws TypeError for what is no URL of Redis. */
export function expectUrl(name: string, url: unknown): asserts url is string {
  if (typeof url !== 'string') throw new TypeError(`${name} must be a URL such as redis://HOST, found ${describe(url)}`)
  parseRedisUrl(name, url)
}

/** Throws TypeError for what is neither a path nor a URL of a bucket. */
export function expectStore(name: string, store: unknown): asserts store is string {
  if (typeof store !== 'string' || store === '' || (/^[a-z]\w+:\/\//i.test(store) && !/^s3:\/\//i.test(store)))
    throw new TypeError(`${name} must be a folder or s3://BUCKET/PREFIX, found ${describe(store)}`)
}

/** Throws TypeError for options that are given and are no strings. */
export function checkTexts(options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options))
    if (value !== undefined && (typeof value !== 'string' || value === ''))
      throw new TypeError(`${name} must be a string, found ${describe(value)}`)
}

/** Where the objects of a build are in a bucket. */
export function bucketPlaceOf(store: string, build: string): string {
  return `${store.replace(/\/+$/, '')}/${build}`
}
