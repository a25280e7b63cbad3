// Length of all files below a folder.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

export function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, found) => sum + (found.isFile() ? found.size : 0), 0)
}
