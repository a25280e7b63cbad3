// Sound indexes that forgeries start from: one of each kind.

import { buildIndex } from '../../src/build.ts'
import { makeVectors } from './datasets.ts'
import { buildDocuments } from './document-index.ts'
import type { TempFolder } from './temp-folder.ts'

const SPECIMENS = {
  usual: { metric: 'l2', bits: 2 },
  cosine: { metric: 'cosine', bits: 2 },
  plain: { metric: 'ip', bits: 0 }
} as const

/** Builds them; returns their folders by name, `documents` among them. */
export async function buildSpecimens(
  temp: TempFolder,
  of: { readonly count: number; readonly dim: number; readonly seed: number }
): Promise<ReadonlyMap<string, string>> {
  const { count, dim, seed } = of
  const folders = new Map<string, string>()
  for (const [name, options] of Object.entries(SPECIMENS)) {
    const output = temp.fresh(name)
    const input = makeVectors('clustered', { count, dim }, seed)
    // With queries: an index so small is not calibrated without.
    await buildIndex({ ...options, input, dim, zones: 6, output, queries: input.slice(0, 40 * dim) })
    folders.set(name, output)
  }
  const documents = temp.fresh('documents')
  await buildDocuments({ output: documents, count, dim, metric: 'l2', bits: 2, ids: 'string', seed })
  return folders.set('documents', documents)
}
