// Loads packages from where this library is, at run time. Bundlers are not to see it: webpack puts what does not work
// in the place of a createRequire that it recognises.

import nodeModule from 'node:module'

import { MODULE_URL } from './module-url.ts'

export const requirePackage = nodeModule.createRequire(MODULE_URL)
