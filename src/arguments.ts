// Paths, as the public methods take them. URLs of another realm (a vm context, Jest, jsdom) are no instances of this
// realm's class, and are taken all the same.

import { fileURLToPath } from 'node:url'

import { describe } from './describe.ts'

/** Strings that can only be meant as URLs. */
const FILE_URL = /^file:\//i

/** Returns a path as a string; throws TypeError for what is neither a non-empty string nor a `file:` URL. */
export function expectPath(name: string, value: unknown): string {
  if (isUrl(value)) return pathOfUrl(name, value.href)
  if (typeof value !== 'string' || value === '')
    throw new TypeError(`${name} must be a path or a file: URL, found ${describe(value)}`)
  return FILE_URL.test(value) ? pathOfUrl(name, value) : value
}

/** Tells a URL of any realm. */
export function isUrl(value: unknown): value is { readonly href: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'href' in value &&
    'protocol' in value &&
    typeof value.href === 'string' &&
    typeof value.protocol === 'string'
  )
}

function pathOfUrl(name: string, href: string): string {
  try {
    return fileURLToPath(href)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new TypeError(`${name} must be a path or a file: URL, found the URL ${describe(href)}: ${reason}`, { cause })
  }
}
