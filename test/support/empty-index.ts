// An index as it is created: no zones, no files.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { writeCatalogue } from '../../src/catalogue/writer.ts'
import type { DeclaredField } from '../../src/format/fields.ts'
import { CATALOGUE_NAME } from '../../src/format/layout.ts'
import { drawFlips } from '../../src/quantizer/rotation.ts'
import type { IdType, Metric } from '../../src/types.ts'
import { randomFrom } from './random.ts'

export interface EmptyIndex {
  readonly dim: number
  readonly metric: Metric
  readonly bits: number
  readonly ids?: IdType
  readonly fields?: readonly DeclaredField[]
}

/** Creates it in a new folder. */
export function createEmpty(folder: string, of: EmptyIndex): void {
  mkdirSync(folder)
  const { dim, metric, bits, ids = 'integer', fields = [] } = of
  const indexId = Uint8Array.from({ length: 16 }, (_, i) => i)
  writeCatalogue(join(folder, CATALOGUE_NAME), {
    meta: { indexId, generation: 1, dim, metric, bits, idType: ids, count: 0 },
    quantizer: bits === 0 ? undefined : { flips: drawFlips(dim, randomFrom(7)), mean: new Float32Array(dim).fill(0.1) },
    build: {},
    files: [],
    segments: [],
    centroids: new Float32Array(0),
    zoneCodes: new Uint8Array(0),
    documents: { fields, model: undefined, encodedNote: undefined }
  })
}
