// A subcommand, declared once: what it takes, its options and their help. Reading and explaining the command line both
// go by this.

import type { Given } from './arguments.ts'

export interface PositionalDeclaration {
  /** In capitals, as help and messages name it. */
  readonly name: string
  readonly about: string
  readonly isOptional?: true
  /** How messages of the library name it; in the command's they get its own name. */
  readonly library?: string
}

export interface OptionDeclaration {
  /** How help shows its value, such as N; an option without a value where this is missing. */
  readonly value?: string
  readonly about: string
  /** How messages of the library name it, where that is not this option's name. */
  readonly library?: string
  /** May be given more than once. */
  readonly isList?: true
  /** A number of bytes, given and shown as 512MB or 2GB. */
  readonly isSize?: true
  /** Reads the value that the library takes. Options without it are the command's own. */
  readonly read?: (given: Given, name: string) => unknown
}

export type OptionDeclarations = Readonly<Record<string, OptionDeclaration>>

/** Words behind the subcommand's name. */
export interface CommandArguments {
  readonly positionals: readonly string[]
  readonly given: Given
}

export interface Command {
  readonly name: string
  /** One line for the list of all commands. */
  readonly summary: string
  readonly positionals: readonly PositionalDeclaration[]
  readonly options: OptionDeclarations
  /** Shown by help below the options. */
  readonly notes?: string
  readonly examples: readonly string[]
  run(args: CommandArguments): void | Promise<void>
}

// Arguments of several commands.
export const FORMATS = ['fvecs', 'bvecs', 'ivecs', 'fbin', 'u8bin', 'f16bin', 'npy', 'jsonl', 'parquet', 'hdf5']
export const VECTOR_FILES = `${FORMATS.map((format) => `.${format}`).join(' ')}, or - for standard input (see --format)`
export const INDEX: PositionalDeclaration = { name: 'INDEX', about: 'the folder of an index', library: 'path' }
export const QUERIES: PositionalDeclaration = { name: 'QUERIES', about: `a file: ${VECTOR_FILES}` }
export const K_OPTION: OptionDeclaration = { value: 'N', about: 'neighbours per query (default 10)' }
export const JSON_OPTION: OptionDeclaration = { about: 'print one JSON object on standard output' }
export const FILTER_OPTION: OptionDeclaration = {
  value: 'JSON',
  about: 'only rows that meet this filter on declared fields, such as \'{"draft": false}\''
}
export const FORMAT_OPTION: OptionDeclaration = {
  value: 'FORMAT',
  about: 'format of standard input: a file ending, such as fvecs or npy (default jsonl)'
}
export const VECTORS_COLUMN =
  'the vectors: a column of .parquet (default: the only one with lists), a key in .jsonl (default vector), ' +
  'a data set in .hdf5 (default train), a column of a query (default: the last of two, or the only BLOB)'
export const IDS_COLUMN =
  'the ids, integers or strings: a column of .parquet (default: row numbers), a key in .jsonl (default id), a column ' +
  'of a query (default: the first)'
export const NETWORK_OPTION: OptionDeclaration = {
  about: 'write even on a network file system: only where no other machine has the index open',
  library: 'allowNetworkFileSystem'
}
/** Options of all commands that read queries. */
export const QUERY_OPTIONS: OptionDeclarations = {
  column: {
    value: 'NAME',
    about:
      'the queries: a column of .parquet (default: the only one with lists), a key in .jsonl (default vector), ' +
      'a data set in .hdf5 (default train)'
  },
  format: FORMAT_OPTION,
  json: JSON_OPTION
}
