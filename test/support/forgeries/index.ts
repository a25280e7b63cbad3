// All forgeries, by what is forged.

import { CALIBRATIONS } from './calibrations.ts'
import { CHANGES } from './changes.ts'
import { CHUNKS } from './chunks.ts'
import { DIRECTORIES } from './directories.ts'
import { DOCUMENTS } from './documents.ts'
import { EXTENTS } from './extents.ts'
import { FILES, HEADERS } from './file-records.ts'
import type { Forgery } from './forgery.ts'
import { META } from './meta.ts'
import { NO_FILES } from './no-files.ts'
import { PAGES } from './pages.ts'
import { SCHEMAS } from './schemas.ts'
import { SEGMENTS } from './segments.ts'
import { VALUES } from './values.ts'

export type { Forgery } from './forgery.ts'

export const GROUPS: readonly (readonly [string, readonly Forgery[]])[] = [
  ['schemas', SCHEMAS],
  ['pages of the catalogue', PAGES],
  ['values of meta', META],
  ['calibrations', CALIBRATIONS],
  ['chunks', CHUNKS],
  ['changes', CHANGES],
  ['segments', SEGMENTS],
  ['files', FILES],
  ['things that are no files', NO_FILES],
  ['headers', HEADERS],
  ['extents', EXTENTS],
  ['directories', DIRECTORIES],
  ['values', VALUES],
  ['documents', DOCUMENTS]
]
