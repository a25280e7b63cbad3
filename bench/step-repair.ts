// repairIndex, or checkIndex, in a process of its own: time, peak memory, bytes written; then what was repaired is
// checked.

import { rmSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'
import { folderBytes } from './folder-bytes.ts'
import { loadZgq, loadZgqCheck } from './packages.ts'
import { ownDeviceWrites, ownMemory } from './process-memory.ts'

export interface RepairInput {
  readonly folder: string
  /** Undefined: `folder` is checked, nothing is repaired. */
  readonly output: string | undefined
  readonly acceptLoss: boolean
}

export interface RepairResult {
  readonly seconds: number
  readonly peakRss: number
  readonly writtenBytes: number
  /** Rows and bytes of what came out. */
  readonly count: number
  readonly bytes: number
  readonly report: unknown
}

const { folder, output, acceptLoss } = stepInput<RepairInput>()
const { checkIndex, repairIndex } = await loadZgqCheck()
if (output !== undefined) rmSync(output, { recursive: true, force: true })
const startedAt = performance.now()
const report =
  output === undefined ? await checkIndex(folder) : await repairIndex({ input: folder, output, acceptLoss })
const seconds = (performance.now() - startedAt) / 1000
const { peakRss } = ownMemory()
const writtenBytes = ownDeviceWrites()
if (output !== undefined) await checkIndex(output)
const { ZgqIndex: Index } = await loadZgq()
const index = Index.open(output ?? folder)
const count = index.count()
index.close()
const result: RepairResult = { seconds, peakRss, writtenBytes, count, bytes: folderBytes(output ?? folder), report }
stepResult(result)
