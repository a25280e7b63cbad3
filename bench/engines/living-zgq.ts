// ZGQ, with its defaults: a call is done once it is synced.

import { join } from 'node:path'

import { loadZgq, loadZgqBuild, type ZgqIndex } from '../packages.ts'
import type { LivingEngine, LivingInput, LivingRows, OpenLiving } from './living.ts'

export const livingZgq: LivingEngine = {
  name: 'zgq',
  packageName: 'zgq',
  settings: 'synced; recall .95 (the default)',
  async create(input) {
    const { ZgqIndex: Index } = await loadZgq()
    const { dim, metric, hasTags, autoOptimize } = input
    const fields = hasTags ? ({ tag: 'number' } as const) : undefined
    return wrap(await Index.create(pathOf(input), { dim, metric, fields, autoOptimize }))
  },
  async build(input, { ids, vectors }) {
    const { buildIndex } = await loadZgqBuild()
    const { dim, metric } = input
    await buildIndex({ input: vectors, dim, metric, ids, output: pathOf(input) })
  },
  async open(input) {
    const { ZgqIndex: Index } = await loadZgq()
    return wrap(Index.open(pathOf(input), { mode: 'write', autoOptimize: input.autoOptimize }))
  }
}

export function pathOf({ folder }: Pick<LivingInput, 'folder'>): string {
  return join(folder, 'index')
}

function wrap(index: ZgqIndex): OpenLiving {
  return {
    async add(rows) {
      await index.add(batchOf(rows))
    },
    async upsert(rows) {
      await index.upsert(batchOf(rows))
    },
    async update(ids, tag) {
      await index.update(ids, { tag })
    },
    async delete(ids) {
      await index.delete(ids)
    },
    async deleteTag(tag) {
      await index.delete({ filter: { tag } })
    },
    async compact() {
      await index.optimize()
    },
    search: (query, k) => index.search(query, { k }).map(({ id }) => id),
    searchExact: (query, k) => index.search(query, { k, exact: true }).map(({ id }) => id),
    close() {
      index.close()
    }
  }
}

export function batchOf({ ids, vectors, tags }: LivingRows) {
  return tags === undefined ? { ids, vectors } : { ids, vectors, payloads: tags.map((tag) => ({ tag })) }
}
