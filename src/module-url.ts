// Where the code of this library is, as a URL: where the bundle is, in a bundle. Bundlers differ in which of the ways
// to ask they keep: webpack puts the path at build time in place of import.meta.url, Bun in place of __filename, and in
// CommonJS by esbuild import.meta.url is empty.

import { pathToFileURL } from 'node:url'

/** Defined where webpack, or a bundler like it, took this library in: it replaces the words. */
declare const __webpack_require__: unknown
declare const __webpack_base_uri__: unknown

function findUrl(): string {
  if (typeof __webpack_require__ !== 'function' && typeof import.meta.url === 'string') return import.meta.url
  try {
    return pathToFileURL(__filename).href // not asked by typeof: webpack claims to have it in ES modules too
  } catch {
    return typeof __webpack_base_uri__ === 'undefined' ? import.meta.url : String(__webpack_base_uri__)
  }
}

export const MODULE_URL = findUrl()
