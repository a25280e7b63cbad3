// Writes the files of a step of a fold: one segment for each zone that gets rows, with all that stands beside it. No
// catalogue names them before the step is published.

import { join } from 'node:path'

import { IdRunWriter, RUN_ENTRIES } from '../build/id-run.ts'
import { joinIdRuns } from '../build/join-id-runs.ts'
import type { ReservedNumbers } from '../catalogue/reservations.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { FileRecord } from '../format/file-record.ts'
import { idColumn, type IdsOfRows } from '../format/id-column.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { dataFileName } from '../format/layout.ts'
import type { QuantizerMeta } from '../format/quantizer.ts'
import { NO_EXTENT, type FileExtent, type SegmentRecord } from '../format/segment-record.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { ZoneEncoder } from '../quantizer/zone-encoder.ts'
import { ZoneStatistics } from '../quantizer/zone-statistics.ts'
import { encodeCodes } from '../storage/codes-extent.ts'
import { encodeFieldsExtent, encodePayloadExtent } from '../storage/documents-extents.ts'
import { ExtentsWriter } from '../storage/extents-writer.ts'
import { removeTemporary } from '../storage/file-writer.ts'
import { VectorsWriter } from '../storage/vectors-writer.ts'
import { fieldValuesOf } from '../write/field-values.ts'
import type { FoldRows } from './fold-rows.ts'
import type { FoldTell } from './fold-messages.ts'
import type { NumberedZone } from './number-zones.ts'

/** The index that files are for. */
export interface FoldPlace {
  readonly folder: string
  readonly meta: IndexMeta
  readonly numbers: ReservedNumbers
  readonly quantizer: QuantizerMeta | undefined
  readonly fields: readonly DeclaredField[]
  /** Segments that these replace, ascending. */
  readonly superseded: readonly number[]
}

/** What was written. */
export interface WrittenFold {
  readonly files: readonly FileRecord[]
  /** In the order of the zones that were given. */
  readonly segments: readonly SegmentRecord[]
  readonly centroids: readonly Float32Array[]
}

/** Ids of a segment that stays, for a run over all. */
export interface SegmentIds {
  readonly segment: number
  readonly ids: IdsOfRows
}

/** Writes and syncs the files, and notes the new places of rows; throws ZGQ_IO. */
export async function writeFold(
  of: FoldPlace,
  given: {
    readonly rows: FoldRows
    readonly zones: readonly NumberedZone[]
    /** Segments whose ids go into the run too, in ascending order. */
    readonly otherIds: Iterable<SegmentIds>
  },
  tell: FoldTell
): Promise<WrittenFold> {
  const { meta, folder, numbers } = of
  // Beside the file that it becomes, so that a clean-up knows whose it is.
  const runName = `${dataFileName('ids', numbers.generation, 0)}.run`
  const facts = { folder, indexId: meta.indexId, generation: numbers.generation, dim: meta.dim, metric: meta.metric }
  const writers = {
    vectors: new VectorsWriter(facts),
    codes: new ExtentsWriter(facts, 'codes'),
    fields: new ExtentsWriter(facts, 'fields'),
    payload: new ExtentsWriter(facts, 'payload'),
    ids: new IdRunWriter(folder, RUN_ENTRIES, runName)
  }
  try {
    for (const { segment, ids } of given.otherIds) writers.ids.collect(segment, ids)
    const written = new ZonesWriter(of, given.rows, writers)
    let done = 0
    for (const zone of given.zones) {
      written.write(zone)
      done += zone.members.length
      tell.note({ stage: 'write', done, total: given.rows.count })
    }
    if (given.zones.length > 0) writers.vectors.finish(of.superseded)
    const runs = writers.ids.finish(false)
    const idsFile = await joinIdRuns([{ ...runs, path: join(folder, runName) }], facts, () => {
      tell.check()
      return Promise.resolve()
    })
    return written.finish(idsFile)
  } finally {
    for (const writer of Object.values(writers)) writer.close()
    removeTemporary(join(folder, runName))
  }
}

interface Writers {
  readonly vectors: VectorsWriter
  readonly codes: ExtentsWriter
  readonly fields: ExtentsWriter
  readonly payload: ExtentsWriter
  readonly ids: IdRunWriter
}

/** Writes segment after segment. */
class ZonesWriter {
  readonly #of: FoldPlace
  readonly #rows: FoldRows
  readonly #writers: Writers
  readonly #statistics: ZoneStatistics
  readonly #encoder: ZoneEncoder | undefined
  /** Whether a segment has payloads: others have no extent of them. */
  readonly #havePayloads: boolean[] = []

  constructor(of: FoldPlace, rows: FoldRows, writers: Writers) {
    this.#of = of
    this.#rows = rows
    this.#writers = writers
    const memory = new KernelMemory(loadKernel())
    this.#statistics = new ZoneStatistics(memory, of.meta)
    this.#encoder = of.quantizer && new ZoneEncoder(memory, { ...of.meta, ...of.quantizer })
  }

  write({ zone, members, around }: NumberedZone): void {
    const { fields, numbers } = this.#of
    const rows = this.#rows
    const { vectors, codes, payload, ids: runs } = this.#writers
    const segment = numbers.firstSegment + this.#havePayloads.length
    const rowCount = members.length
    const facts = this.#statistics.measure(rows, members, around)
    const idsOfRows = rows.idsOf(members)
    const ids = idColumn(idsOfRows)
    runs.collect(segment, idsOfRows)
    const rowRuns = this.#statistics.eachChunk(rows, members)
    const pageCrcs = vectors.writeSegment({ segment, zone, rowCount, rowRuns, ids, ...facts })
    const payloads = rows.payloadsOf(members)
    if (fields.length > 0)
      this.#writers.fields.write(encodeFieldsExtent(segment, fields, fieldValuesOf(fields, payloads, this.#of.folder)))
    const hasPayloads = payloads.some((one) => one !== undefined)
    if (hasPayloads) payload.write(encodePayloadExtent(segment, payloads))
    this.#havePayloads.push(hasPayloads)
    rows.place(members, segment)
    if (this.#encoder === undefined) return
    const scaled = this.#statistics.eachScaledChunk(rows, members)
    const { planes, refinedCodes } = this.#encoder.encode(facts.centroid, rowCount, scaled)
    const repeated = ids.kind === 'ids' ? ids.bytes : undefined
    codes.write(encodeCodes({ segment, rowCount, ids: repeated, pageCrcs, planes, refinedCodes }))
  }

  finish(idsFile: FileRecord | undefined): WrittenFold {
    const { vectors, codes, fields, payload } = this.#writers
    const files: FileRecord[] = []
    const number = (records: readonly FileRecord[]): number => {
      const first = this.#of.numbers.firstFile + files.length
      for (const record of records) files.push({ ...record, file: this.#of.numbers.firstFile + files.length })
      return first
    }
    const firstVectors = number(vectors.files)
    const extentsOf = (writer: ExtentsWriter): FileExtent[] => {
      const finished = writer.finish()
      const first = number(finished.files)
      return finished.extents.map((extent) => ({ ...extent, file: extent.file + first }))
    }
    const [ofCodes, ofFields, ofPayload] = [extentsOf(codes), extentsOf(fields), extentsOf(payload)]
    if (idsFile !== undefined) number([idsFile])
    let nextPayload = 0
    const segments = vectors.segments.map(({ centroid: _, rows, columns, ...facts }, i) => ({
      ...facts,
      rows: { ...rows, file: rows.file + firstVectors },
      columns: { ...columns, file: columns.file + firstVectors },
      codes: ofCodes[i] ?? NO_EXTENT,
      fields: ofFields[i] ?? NO_EXTENT,
      payload: this.#havePayloads[i] ? ofPayload[nextPayload++] : NO_EXTENT
    }))
    return { files, segments, centroids: vectors.segments.map(({ centroid }) => centroid) }
  }
}
