// The data files in a folder whose catalogue cannot be read: those that belong together, by their headers.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { wrapReadError } from '../errors.ts'
import { decodeHeader, hex, type Header } from '../format/header.ts'
import { FILE_KIND_NAMES, FILE_KINDS, type FileKind } from '../format/kinds.ts'
import { dataFileName, MAX_DIM, METRIC_CODES, PAGE_BYTES } from '../format/layout.ts'
import type { DataFile } from '../storage/reader.ts'
import type { Metric } from '../types.ts'
import type { Losses } from './losses.ts'
import { findRemainingFile, RemainingFiles } from './remaining-files.ts'
import { readFooter } from './stand-alone.ts'

const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const NAME = new RegExp(`^(${FILE_KIND_NAMES.join('|')})-(\\d{6,15})-(\\d{5,15})\\.zgq$`)

/** A file by its name. */
export interface NamedFile {
  readonly file: number
  readonly kind: FileKind
  readonly generation: number
  readonly shard: number
}

/** Files of one index. */
export interface FoundFiles {
  readonly files: RemainingFiles
  /** Newest generation first. */
  readonly named: readonly NamedFile[]
  readonly dim: number
  readonly metric: Metric
}

/**
 * Finds the data files in a folder, and those facts that every header has; undefined: no header of a file can be read.
 * Its caller closes the files. Throws ZGQ_UNSUPPORTED for those of another version, ZGQ_IO.
 */
export function findFiles(folder: string, losses: Losses): FoundFiles | undefined {
  const all = listFiles(folder)
  const paths = new Map(
    all.map(({ file, kind, generation, shard }) => [file, join(folder, dataFileName(kind, generation, shard))])
  )
  const there = new Map<number, DataFile>()
  for (const named of all) {
    const found = losses.attempt(folder, () => findRemainingFile(folder, named))
    if (found !== undefined) there.set(named.file, found)
  }
  const files = new RemainingFiles(there, paths)
  try {
    const named = all.filter(({ file }) => there.has(file))
    const headers = new Map<number, Header>()
    for (const { file, kind } of named) {
      const path = files.pathOf(file)
      const page = new Uint8Array(PAGE_BYTES)
      const header = losses.attempt(path, () => {
        files.read(file, 0, page)
        return decodeHeader(page, kind, path)
      })
      if (header !== undefined) headers.set(file, header)
    }
    const chosen = commonest(Array.from(headers.values()))
    const metric = chosen && metricOf(chosen.metric)
    if (chosen === undefined || metric === undefined || chosen.dim < 1 || chosen.dim > MAX_DIM) {
      files.close()
      return undefined
    }
    const id = hex(chosen.indexId)
    const own = named.filter((one) => {
      const found = headers.get(one.file)?.indexId ?? footerId(one, files)
      if (found === undefined) return one.kind !== 'vectors' && one.kind !== 'delta'
      if (hex(found) === id) return true
      losses.note(files.pathOf(one.file), 0, `the file is of another index: ${hex(found)}, expected ${id}`)
      return false
    })
    own.sort((a, b) => b.generation - a.generation || a.shard - b.shard)
    return { files, named: own, dim: chosen.dim, metric }
  } catch (error) {
    files.close()
    throw error
  }
}

function listFiles(folder: string): NamedFile[] {
  let names: string[]
  try {
    names = readdirSync(folder).sort()
  } catch (error) {
    throw wrapReadError(error, folder, 'list the folder of the index')
  }
  return names.flatMap((name, file) => {
    const [, kind, generation, shard] = NAME.exec(name) ?? []
    return isKind(kind) ? { file, kind, generation: Number(generation), shard: Number(shard) } : []
  })
}

function isKind(name: string | undefined): name is FileKind {
  return name !== undefined && Object.hasOwn(FILE_KINDS, name)
}

/** A file whose header is damaged may have its footer. */
function footerId({ file, kind, generation }: NamedFile, files: RemainingFiles): Uint8Array | undefined {
  if (kind !== 'vectors' && kind !== 'delta') return undefined
  try {
    return readFooter({ file, kind, generation }, files).indexId
  } catch {
    return undefined // its directory cannot be read either, which is noted
  }
}

/** A header of the index that most files are of. */
function commonest(headers: readonly Header[]): Header | undefined {
  const counts = new Map<string, number>()
  for (const { indexId } of headers) counts.set(hex(indexId), (counts.get(hex(indexId)) ?? 0) + 1)
  const most = Math.max(...counts.values())
  return headers.find(({ indexId }) => counts.get(hex(indexId)) === most)
}

function metricOf(code: number): Metric | undefined {
  return METRICS.find((metric) => METRIC_CODES[metric] === code)
}
