// All engines by name.

import { bruteForce, sqliteVec } from './exact.ts'
import type { Engine } from './engine.ts'
import { hnswlib } from './hnswlib.ts'
import { lancedb } from './lancedb.ts'
import { usearch } from './usearch.ts'
import { zgq } from './zgq.ts'
import { zvec } from './zvec.ts'

export const ENGINES: readonly Engine[] = [
  zgq(undefined),
  zgq(0),
  usearch('f32'),
  usearch('bf16'),
  usearch('f16'),
  usearch('i8'),
  hnswlib('installed'),
  hnswlib('native'),
  lancedb('ivf-flat'),
  lancedb('ivf-rq'),
  lancedb('ivf-hnsw-sq'),
  zvec('hnsw'),
  zvec('hnsw-rabitq'),
  zvec('ivf'),
  zvec('ivf-rabitq'),
  zvec('diskann'),
  sqliteVec,
  bruteForce
]

/** Engines of `--quick`: one of each package, and those that build fast. */
export const QUICK_ENGINES = [
  'zgq',
  'zgq-bits0',
  'usearch-f32',
  'usearch-bf16',
  'hnswlib',
  'lancedb-ivf-rq',
  'zvec-hnsw-rabitq',
  'sqlite-vec',
  'brute-force'
]

/** Not run unless asked for with --only: its build takes several times as long as any other. */
export const ONLY_IF_ASKED = ['zvec-diskann']

export function findEngine(name: string): Engine {
  const engine = ENGINES.find((candidate) => candidate.name === name)
  if (engine === undefined)
    throw new Error(`${name} is no engine; expected one of ${ENGINES.map((known) => known.name).join(', ')}`)
  return engine
}
