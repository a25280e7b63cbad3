// The environment in which a process of plain Node.js meets what Electron refuses.

/** Returns the environment for a process that stands for one of Electron's. */
export function electronLike(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env }
}
