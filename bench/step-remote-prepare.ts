// Makes a set, its index and the packed file, in a process of its own.

import { statSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'
import { loadZgq } from './packages.ts'
import { prepareSet, type RemoteSet, type SetFiles } from './remote-sets.ts'

export interface PrepareInput {
  readonly set: RemoteSet
  readonly data: string | undefined
  readonly work: string
}

export interface Prepared {
  readonly files: SetFiles
  readonly rows: number
  readonly dim: number
  readonly zones: number
  readonly packedBytes: number
}

const { set, data, work } = stepInput<PrepareInput>()
const files = await prepareSet(set, data, work)
const { ZgqIndex } = await loadZgq()
const index = ZgqIndex.open(files.index)
const { count, dim, zones } = index.info()
index.close()
stepResult({ files, rows: count, dim, zones, packedBytes: statSync(files.packed).size } satisfies Prepared)
