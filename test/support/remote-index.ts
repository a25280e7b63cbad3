// Packed indexes on a server of the test's own.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { packIndex } from '../../src/pack.ts'
import type { OddServer } from './odd-server.ts'

/** Packs an index and puts it on a server, as one file under `name` or as a folder under `name/`; returns its URL. */
export async function publish(
  server: OddServer,
  index: string,
  of: { readonly name: string; readonly output: string; readonly layout?: 'file' | 'folder' }
): Promise<string> {
  const { name, output, layout = 'file' } = of
  await packIndex({ index, output, layout, force: layout === 'file' })
  if (layout === 'file') server.put(name, readFileSync(output))
  else for (const part of readdirSync(output)) server.put(`${name}/${part}`, readFileSync(join(output, part)))
  return server.url + name + (layout === 'file' ? '' : '/')
}
