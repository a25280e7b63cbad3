// Where the code of this library is, as a URL: where the bundle is, in a bundle. Not import.meta.url alone: webpack
// replaces it with the path that the module had when it was bundled, and in a CommonJS bundle by others it is empty.

import { pathToFileURL } from 'node:url'

export const MODULE_URL = typeof __filename === 'string' ? pathToFileURL(__filename).href : import.meta.url
