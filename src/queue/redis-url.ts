// Reads the URL of a Redis server. What it is called in messages has neither user nor password.

import { describe } from '../describe.ts'

/** Where a Redis server is, and who asks it. */
export interface RedisAddress {
  readonly host: string
  readonly port: number
  /** Number of the database. */
  readonly db: number
  readonly username?: string
  readonly password?: string
  /** Only IPv4 (4) or only IPv6 (6). */
  readonly family?: number
  readonly tls?: object
  /** The server in messages, without user and password: `redis://host:6379/0`. */
  readonly place: string
}

const DEFAULT_PORT = 6379
const SHAPE = 'redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// with TLS'

/**
 * Reads `redis://` and `rediss://` (TLS) with user, password, port, number of the database and `?family=4` or `6`.
 * Throws TypeError for anything else; no message shows the password.
 */
export function parseRedisUrl(what: string, url: string): RedisAddress {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '')
    throw new TypeError(`${what} must be ${SHAPE}, found ${describe(withoutSecrets(url))}${escapeHint(url)}`)
  const { protocol, hostname, hash } = parsed
  const database = /^\/?(\d{0,6})$/.exec(parsed.pathname)
  if (database === null || hash !== '')
    throw new TypeError(`${what} must end with the number of a database, found ${describe(parsed.pathname + hash)}`)
  const db = Number(database[1])
  const port = parsed.port === '' ? DEFAULT_PORT : Number(parsed.port)
  const host = hostname.replace(/^\[|\]$/g, '')
  return {
    host,
    port,
    db,
    ...credentialsOf(what, parsed),
    ...familyOf(what, parsed.searchParams),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
    place: `${protocol}//${hostname}:${port}/${db}`
  }
}

function credentialsOf(what: string, { username, password }: URL): { username?: string; password?: string } {
  try {
    return {
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password: decodeURIComponent(password) })
    }
  } catch {
    throw new TypeError(`${what}: a % in the user or the password must be written as %25`)
  }
}

function familyOf(what: string, parameters: URLSearchParams): { family?: number } {
  const unknown = [...parameters.keys()].find((name) => name !== 'family')
  if (unknown !== undefined) throw new TypeError(`${what}: unknown parameter ${describe(unknown)}; known is family`)
  const family = parameters.get('family')
  if (family === null) return {}
  if (family !== '4' && family !== '6') throw new TypeError(`${what}: family must be 4 or 6, found ${describe(family)}`)
  return { family: Number(family) }
}

/** Everything up to the last @ may be a password that was not escaped. */
function withoutSecrets(url: unknown): unknown {
  return typeof url === 'string' ? url.replace(/^([^/]*\/\/|).*@/s, '$1***@') : url
}

function escapeHint(url: unknown): string {
  return typeof url === 'string' && url.includes('@')
    ? '; write what is special in a password as in any URL: / as %2F, # as %23, @ as %40'
    : ''
}
