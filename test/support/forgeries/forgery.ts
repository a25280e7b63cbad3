// What a forgery is, and how the files beside this one say it in few words.

import { runSql, editSchema } from '../forge/catalogue.ts'
import { forge, type Parts } from '../forge/parts.ts'
import { step } from '../torture.ts'

/**
 * Who has to see it: `open` = whoever opens the index; `rows` = whoever reads the rows; `codes` = whoever reads the
 * codes; `documents` = whoever reads all documents; `derived` = checks, and perhaps others; `build` = whoever shows
 * facts of the build; `check` = checks alone; `nobody` = it is legal.
 */
export type Seen = 'open' | 'rows' | 'codes' | 'documents' | 'derived' | 'build' | 'check' | 'nobody'

export interface Forgery {
  readonly title: string
  readonly seen: Seen
  /** Codes that may be reported; where several rules are broken either may be met first. */
  readonly codes: readonly string[]
  readonly forge: (folder: string) => void
  /** The index that is forged. */
  readonly of?: 'cosine' | 'plain' | 'documents' | undefined
  /** Left out, with the reason in the title: commands that take longer than a test should. */
  readonly without?: readonly string[]
}

export const CORRUPT = ['ZGQ_CORRUPT'] as const
export const UNSUPPORTED = ['ZGQ_UNSUPPORTED'] as const
export const MISMATCH = ['ZGQ_MISMATCH'] as const
/** Two rules are broken. */
export const EITHER = ['ZGQ_MISMATCH', 'ZGQ_CORRUPT'] as const

/** What opening refuses; nothing is mended. */
export function refused(title: string, change: (folder: string) => void, codes: readonly string[] = CORRUPT): Forgery {
  return { title, seen: 'open', codes, forge: change }
}

/** Changes parts, with checksums that fit. */
export function parts(
  seen: Seen,
  title: string,
  change: (parts: Parts) => void,
  codes: readonly string[] = CORRUPT
): Forgery {
  return {
    title,
    seen,
    codes: seen === 'nobody' ? [] : codes,
    forge: (folder) => {
      forge(folder, change)
    }
  }
}

export const legal = (title: string, change: (folder: string) => void): Forgery => ({
  title,
  seen: 'nobody',
  codes: [],
  forge: change
})

export const of = (kind: 'cosine' | 'plain', forgery: Forgery): Forgery => ({
  ...forgery,
  of: kind
})

export const statement = (title: string, ...statements: readonly string[]): Forgery =>
  refused(title, (folder) => {
    runSql(folder, ...statements)
  })

export const schemaEdit = (title: string, ...statements: readonly string[]): Forgery =>
  refused(title, (folder) => {
    editSchema(folder, ...statements)
  })

/** Above every number that a reader takes: just so, and as far as 64 bits go. `npm test` tries the first alone. */
export const HUGE = (
  [
    ['2^53 + 2', 2n ** 53n + 2n],
    ['2^63 - 1', 2n ** 63n - 1n],
    ['2^64 - 4096', -4096n]
  ] as const
).filter((_, i) => i % step(3) === 0)
