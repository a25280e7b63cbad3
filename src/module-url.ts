// Where the code of this library is, as a URL: where the bundle is, in a bundle. Not import.meta.url alone: webpack
// replaces it with the path that the module had when it was bundled, and in a CommonJS bundle by others it is empty.

import { pathToFileURL } from 'node:url'

/** Where webpack, or a bundler like it, took this library in: where its bundle is. It replaces the word. */
declare const __webpack_base_uri__: unknown

function findUrl(): string {
  try {
    return pathToFileURL(__filename).href // not asked by typeof: webpack claims to have it in ES modules too
  } catch {
    return typeof __webpack_base_uri__ === 'undefined' ? import.meta.url : String(__webpack_base_uri__)
  }
}

export const MODULE_URL = findUrl()
