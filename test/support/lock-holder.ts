// A process of its own that holds the lock of an index's folds until it is told to end, or is killed.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

import { build } from 'esbuild'

import { ROOT } from './sources.ts'
import type { TempFolder } from './temp-folder.ts'

export interface LockHolder {
  readonly pid: number
  /** Kills it, as the system or a user would. */
  kill(): Promise<void>
  /** Tells it to free the lock and end; resolves once it was told, which may be before it has. */
  end(): Promise<void>
}

/** Runs a process that takes the lock as a user whom permissions bind; returns what came of it. */
export async function takeAsSomebody(folder: string, temp: TempFolder): Promise<string> {
  const program = await programIn(temp)
  const env = { ...process.env, NODE_PATH: join(ROOT, 'node_modules'), ZGQ_UID: '65534' }
  return spawnSync(process.execPath, [program, folder], { env, encoding: 'utf8', input: '' }).stdout
}

/** Starts a thread that takes the lock; resolves once it has it. */
export async function holdLockInThread(folder: string, temp: TempFolder): Promise<Worker> {
  const program = await programIn(temp)
  const env = { ...process.env, NODE_PATH: join(ROOT, 'node_modules') }
  const thread = new Worker(program, { argv: [folder], env, stdin: true, stdout: true })
  await new Promise<void>((resolve, reject) => {
    thread.stdout.once('data', () => {
      resolve()
    })
    thread.once('error', reject)
  })
  return thread
}

/** Starts a process that takes the lock; resolves once it has it. */
export async function holdLock(folder: string, temp: TempFolder): Promise<LockHolder> {
  const program = await programIn(temp)
  const child = spawn(process.execPath, [program, folder], {
    env: { ...process.env, NODE_PATH: join(ROOT, 'node_modules') },
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => {
      resolve()
    })
  })
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => {
      resolve()
    })
    child.once('exit', (code, signal) => {
      reject(new Error(`the process ended with ${String(code ?? signal)}`))
    })
  })
  return {
    pid: child.pid ?? 0,
    async kill() {
      child.kill('SIGKILL')
      await closed
    },
    end: () =>
      new Promise((resolve) => {
        child.stdin.end(resolve)
      })
  }
}

async function programIn(temp: TempFolder): Promise<string> {
  const outfile = join(temp.path, 'lock-holder.mjs')
  if (existsSync(outfile)) return outfile
  await build({
    stdin: {
      resolveDir: join(ROOT, 'src'),
      contents: `
        import { FoldLock } from './catalogue/fold-lock.ts'
        import { loadDriver } from './catalogue/load-driver.ts'
        loadDriver()
        const uid = process.env.ZGQ_UID
        if (uid !== undefined && process.getuid?.() === 0) process.setuid(Number(uid))
        try {
          const lock = FoldLock.take(process.argv[2], 0)
          process.stdout.write('held')
          process.stdin.resume().on('end', () => { lock.release() })
        } catch (error) {
          process.stdout.write(error.code)
        }`
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outfile
  })
  return outfile
}
