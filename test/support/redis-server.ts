// A Redis of its own for a test: Debian's redis-server on a free port of the loopback interface, in a folder of its own.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { Redis } from 'ioredis'
import { afterAll } from 'vitest'

export interface RedisServer {
  readonly port: number
  /** Has the password, if there is one. */
  readonly url: string
  /** Ends it without a chance to save anything; what is persistent stays in its folder. */
  kill(): Promise<void>
  /** Starts it on the same folder and port, maybe with other options; resolves once it answers. */
  start(options?: RedisServerOptions): Promise<void>
  /** Kills it and starts it again. */
  restart(): Promise<void>
  /** All keys of all databases, sorted. */
  keys(): Promise<string[]>
  /** Runs one command. */
  command(name: string, ...parameters: string[]): Promise<unknown>
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

export interface RedisServerOptions {
  /** Whether what it was told survives a restart. Default false. */
  readonly appendOnly?: boolean
  readonly password?: string
  /** More of its settings, as its command line takes them: `['--maxmemory', '2mb']`. */
  readonly settings?: readonly string[]
}

const PROGRAM = 'redis-server'
const INSTALL = 'install it: on Debian, apt-get install -y redis-server'
const START_MS = 20_000
const DATABASES = 4

/** Starts a server that ends with the tests of the file. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  provideRedis()
  const server = new Server(await freePort(), options)
  afterAll(() => server.stop())
  await server.start()
  return server
}

class Server implements RedisServer {
  readonly port: number
  readonly url: string
  #options: RedisServerOptions
  readonly #folder = mkdtempSync(join(tmpdir(), 'zgq-redis-'))
  #child: ChildProcess | undefined

  constructor(port: number, options: RedisServerOptions) {
    const { password } = options
    this.port = port
    this.url = `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`
    this.#options = options
  }

  async start(options = this.#options): Promise<void> {
    this.#options = options
    const { appendOnly = false, password, settings = [] } = this.#options
    const log = join(this.#folder, 'redis.log')
    this.#child = spawn(
      PROGRAM,
      [
        ...['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder, '--logfile', log],
        ...['--save', '', '--appendonly', appendOnly ? 'yes' : 'no', '--appendfsync', 'everysec'],
        ...['--databases', String(DATABASES)],
        ...(password === undefined ? [] : ['--requirepass', password]),
        ...settings
      ],
      { stdio: 'ignore' }
    )
    const deadline = Date.now() + START_MS
    while ((await this.#ask(0, 'ping').catch(() => undefined)) !== 'PONG') {
      if (this.#child.exitCode !== null || Date.now() > deadline)
        throw new Error(`${PROGRAM} does not start: ${existsSync(log) ? readFileSync(log, 'utf8') : 'no log'}`)
      await setTimeout(20)
    }
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  async keys(): Promise<string[]> {
    const found = await Promise.all(Array.from({ length: DATABASES }, (_, db) => this.#ask(db, 'keys', '*')))
    return (found as string[][]).flat().sort()
  }

  command(name: string, ...parameters: string[]): Promise<unknown> {
    return this.#ask(0, name, ...parameters)
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #ask(db: number, name: string, ...parameters: string[]): Promise<unknown> {
    const { password } = this.#options
    const client = new Redis({
      host: '127.0.0.1',
      port: this.port,
      db,
      ...(password === undefined ? {} : { password }),
      retryStrategy: () => null
    })
    client.on('error', () => undefined)
    try {
      return await client.call(name, ...parameters)
    } finally {
      client.disconnect()
    }
  }
}

/** Installs the server where that may be done; otherwise says how. */
function provideRedis(): void {
  if (spawnSync(PROGRAM, ['--version']).status === 0) return
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) throw new Error(`${PROGRAM} is missing; ${INSTALL}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { status, stderr } = spawnSync('apt-get', ['install', '-y', '--no-install-recommends', PROGRAM], {
    env,
    encoding: 'utf8'
  })
  if (status !== 0) throw new Error(`${PROGRAM} is missing and does not install; ${INSTALL}: ${stderr}`)
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
