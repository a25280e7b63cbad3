// The environment in which a process of plain Node.js meets what Electron refuses: ArrayBuffers over foreign memory
// (test/electron-shim; Linux only).

import { compileShim } from './electron-shim.ts'
import { useTempFolder } from './temp-folder.ts'

const temp = useTempFolder('shim')
let shim: Readonly<Record<string, string>> | undefined

/** Returns the environment for a process that stands for one of Electron's. */
export function electronLike(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (process.platform !== 'linux') return { ...env }
  shim ??= compileShim(temp).env
  return { ...env, ...shim }
}
