// A process of its own that stores an artifact in a bucket, as a worker on another machine does; tests kill it.

import { build } from 'esbuild'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'

import { S3_ENVIRONMENT } from './s3-proxy.ts'
import { ROOT } from './sources.ts'

const SCRIPT = `
  import { mkdirSync, writeFileSync } from 'node:fs'
  import { join } from 'node:path'
  import { openArtifactStore } from './open-store.mjs'
  const { options, name, files } = JSON.parse(process.argv[1])
  const store = await openArtifactStore(options)
  mkdirSync(join(store.path, name))
  for (const [file, byteLength] of Object.entries(files))
    writeFileSync(join(store.path, name, file), new Uint8Array(byteLength).fill(file.length))
  const moved = await store.write(name, new AbortController().signal)
  await store.close()
  process.stdout.write(String(moved))
`

/** What a process is to do: files are made of so many bytes, each of which is the length of the file's name. */
export interface ArtifactCall {
  readonly options: {
    readonly store: string
    readonly build: string
    readonly endpoint: string
    readonly scratch: string
  }
  readonly name: string
  readonly files: Readonly<Record<string, number>>
}

export interface ArtifactProcess {
  readonly process: ChildProcess
  /** Resolves to what `write` returned, undefined for a process that was killed; rejects where it failed. */
  readonly ended: Promise<number | undefined>
}

/** Puts the library's code for stores where processes find it; returns what starts one. */
export async function prepareProcesses(folder: string): Promise<(call: ArtifactCall) => ArtifactProcess> {
  await build({
    entryPoints: [join(ROOT, 'src/artifacts/open-store.ts')],
    outfile: join(folder, 'open-store.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error'
  })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return (call) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT, JSON.stringify(call)], {
      cwd: folder,
      env: { ...process.env, ...S3_ENVIRONMENT },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    return { process: child, ended: endOf(child) }
  }
}

async function endOf(child: ChildProcess): Promise<number | undefined> {
  const texts = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk) => (texts.stdout += String(chunk)))
  child.stderr?.on('data', (chunk) => (texts.stderr += String(chunk)))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  if (signal === 'SIGKILL') return undefined
  if (code !== 0) throw new Error(`the process ended with ${String(code ?? signal)}: ${texts.stderr}`)
  return Number(texts.stdout)
}
