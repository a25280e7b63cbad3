// zgq serve FILE|FOLDER: a small web server for trying what a web server, a CDN or a bucket will do later.

import { readdirSync, statSync, type Stats } from 'node:fs'
import { basename, join } from 'node:path'

import { ZgqError } from '../src/index.ts'
import { flag, text, UsageError, wholeNumber, type Given } from './arguments.ts'
import { JSON_OPTION, type Command, type CommandArguments } from './command.ts'
import { interruptible } from './interrupt.ts'
import { formatBytes, print, printJson } from './output.ts'
import type { RunningServer } from './static-server.ts'

const DEFAULT_PORT = 8080
const DEFAULT_HOST = '127.0.0.1'
/** More indexes than this in one folder are counted, not listed. */
const MOST_LISTED = 10

export const SERVE: Command = {
  name: 'serve',
  summary: 'serve a packed index, or a folder, to openRemote on this machine',
  positionals: [{ name: 'PATH', about: 'a packed index (a file or a folder of parts), or a folder of a website' }],
  options: {
    port: { value: 'N', about: `port to listen on; 0 = any that is free (default ${DEFAULT_PORT})` },
    host: {
      value: 'ADDRESS',
      about: `address to listen on (default ${DEFAULT_HOST}: this machine alone; 0.0.0.0: all of its networks)`
    },
    json: JSON_OPTION
  },
  notes:
    'Answers ranges, with ETags, and lets pages of all origins read (CORS). Nothing outside of PATH is sent, and no\n' +
    'file whose name begins with a dot. Meant for trying: it knows neither HTTPS nor who asks. Ctrl-C ends it.',
  examples: ['zgq serve docs.zgqp', 'zgq serve website --port 3000'],
  run: runServe
}

async function runServe({ positionals: [path], given }: CommandArguments): Promise<void> {
  const port = portOf(given)
  const host = text(given, 'host') ?? DEFAULT_HOST
  const stats = statServed(path)
  const { startStaticServer } = await import('./static-server.ts')
  await interruptible(
    async (signal) => {
      const server = await startStaticServer({ path, host, port })
      if (flag(given, 'json')) printJson({ path, url: server.url, host, port: server.port })
      else print(explain({ path, stats, server }))
      await aborted(signal)
      await server.close()
      throw signal.reason
    },
    () => 'stopped'
  )
}

function portOf(given: Given): number {
  const port = wholeNumber(given, 'port') ?? DEFAULT_PORT
  if (port > 65_535) throw new UsageError(`--port must be at most 65535, found ${port}`)
  return port
}

function statServed(path: string): Stats {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) throw new ZgqError('ZGQ_NOT_FOUND', 'nothing exists at this path', { path })
  if (!stats.isFile() && !stats.isDirectory())
    throw new ZgqError('ZGQ_UNSUPPORTED', 'this is neither a file nor a folder', { path })
  if (stats.isDirectory() && readdirSync(path).includes('catalogue.sqlite'))
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `an index must be packed before it is served: zgq pack ${path} OUT.zgqp, then zgq serve OUT.zgqp`,
      { path }
    )
  return stats
}

interface Started {
  readonly path: string
  readonly stats: Stats
  readonly server: RunningServer
}

/** Says what to open. */
function explain({ path, stats, server: { url } }: Started): string {
  if (stats.isFile()) return `serving ${basename(path)}, ${formatBytes(stats.size)}; Ctrl-C ends it\n  ${opening(url)}`
  const names = readdirSync(path).sort()
  const indexes = names.filter((name) => name.endsWith('.zgqp') && statSync(join(path, name)).isFile())
  return [
    `serving ${path}; Ctrl-C ends it`,
    ...(names.includes('index.html') ? [url] : []),
    ...(names.some((name) => /^manifest-\d+$/.test(name)) ? [opening(url)] : []),
    ...indexes.slice(0, MOST_LISTED).map((name) => opening(url + encodeURI(name))),
    ...(indexes.length > MOST_LISTED ? [`and ${indexes.length - MOST_LISTED} more`] : [])
  ].join('\n  ')
}

const opening = (url: string): string => `openRemote('${url}')`

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done()
    signal.addEventListener(
      'abort',
      () => {
        done()
      },
      { once: true }
    )
  })
}
