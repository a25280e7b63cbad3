// What the Redis client rejects with, as errors that say what to do. The client's own errors have the command that
// failed, AUTH with its password among them: they are not passed on.

import { systemCode, ZgqError, type ZgqErrorCode } from '../errors.ts'

type Rule = readonly [pattern: RegExp, code: ZgqErrorCode, why: string]

/** The first that fits the code or the text of an error says what is wrong. */
const RULES: readonly Rule[] = [
  [
    /WRONGPASS|invalid password/,
    'ZGQ_IO',
    'Redis refuses the user or the password; check both in the URL of the queue'
  ],
  [/NOAUTH/, 'ZGQ_IO', 'Redis asks for a password; give it in the URL of the queue: redis://:PASSWORD@HOST:PORT'],
  [/NOPERM/, 'ZGQ_IO', 'Redis does not let this user do that; BullMQ needs all commands on the keys of the queue'],
  [/DB index/, 'ZGQ_IO', 'Redis has no database of that number; the last part of the URL is the number'],
  [/^ECONNREFUSED/, 'ZGQ_IO', 'nothing listens there; check host and port, and that Redis is running'],
  [/^(ENOTFOUND|EAI_AGAIN)/, 'ZGQ_IO', 'no such host is known'],
  [/^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)/, 'ZGQ_IO', 'the host does not answer; check the network between'],
  [/^(ERR_SSL|EPROTO)|wrong version number/, 'ZGQ_IO', 'no TLS is spoken there; redis:// is without TLS'],
  [/certificate/i, 'ZGQ_IO', 'its certificate is not trusted; NODE_EXTRA_CA_CERTS names a file of further authorities'],
  [/\bOOM\b/, 'ZGQ_IO', 'Redis has no memory left (maxmemory); give it more'],
  [/MISCONF/, 'ZGQ_IO', 'Redis cannot save to its disk; see its log'],
  [/READONLY/, 'ZGQ_IO', 'that is a replica, which takes no jobs; name the primary'],
  [/no further connection|number of clients/, 'ZGQ_IO', 'Redis takes no more connections; allow it more (maxclients)'],
  [/MOVED|CROSSSLOT/, 'ZGQ_UNSUPPORTED', 'that is one node of a cluster; the queue needs a Redis that is one server'],
  [/version needs/, 'ZGQ_UNSUPPORTED', 'BullMQ does not work with a Redis as old as that'],
  [
    /^(ECONNRESET|EPIPE)|Connection is closed/,
    'ZGQ_IO',
    'Redis ends the connection; rediss:// names one with TLS, and its maxclients says how many connections it takes'
  ]
]
const PASSING = /^(LOADING|MASTERDOWN|READONLY|BUSY|TRYAGAIN|CLUSTERDOWN)\b|Command aborted|Connection is closed/
const REFUSAL = /WRONGPASS|invalid password|NOAUTH|NOPERM|DB index|certificate|wrong version number/i
const MOST_CHARACTERS = 200

/** Whether a command may succeed once Redis is there again, or has started. */
export function mayPass(error: unknown): boolean {
  return systemCode(error) !== undefined || PASSING.test(textOf(error))
}

/** Whether it is of no use to connect again. */
export function isRefusal(error: unknown): boolean {
  return REFUSAL.test(`${systemCode(error) ?? ''} ${textOf(error)}`)
}

/** Wraps what the client or BullMQ rejected with; a ZgqError passes through unchanged. */
export function wrapRedisError(error: unknown, place: string, doing: string): ZgqError {
  if (error instanceof ZgqError) return error
  const code = systemCode(error)
  const text = textOf(error)
  const rule = RULES.find(([pattern]) => (code !== undefined && pattern.test(code)) || pattern.test(text))
  const said = [code, text].filter((part) => part !== undefined && part !== '').join(': ')
  return new ZgqError(rule?.[1] ?? 'ZGQ_IO', `cannot ${doing}: ${rule === undefined ? said : `${rule[2]} (${said})`}`, {
    path: place,
    cause: new Error(said)
  })
}

/** The addresses of a host that were tried come as one error without a text. */
function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return textOf(error.errors[0])
  const text = error instanceof Error ? error.message : String(error)
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text
}
