// Where the code of this library is, as a URL. In a CommonJS bundle of its ES modules import.meta is empty: then it is
// where the bundle is.

import { pathToFileURL } from 'node:url'

const url: string | undefined = import.meta.url

export const MODULE_URL = url ?? pathToFileURL(__filename).href
