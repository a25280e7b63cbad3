// A packed index on a web server: one range request a call, by the fetch that browsers and Node share. What answers
// mean is in http-answer.ts; requests are repeated by their caller.

import { nowMicros } from '../clock.ts'
import { describe } from '../describe.ts'
import { checkOptionNames, expectFunction } from '../options.ts'
import { reasonOf, RequestFailure, type ByteSource, type GotBytes } from './byte-source.ts'
import { readAnswer } from './http-answer.ts'

export interface HttpSourceOptions {
  /** Instead of the global one. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Sent with every request. From a page of another origin, all but a few need the server's consent (CORS). */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

interface Site {
  readonly url: URL
  readonly send: typeof globalThis.fetch
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Returns a source of the bytes at an URL. The object '' is what the URL names; others are beside it, or in it where it
 * ends in `/`, and are asked for with its query, which may hold a signature.
 */
export function httpSource(url: string | URL, options: HttpSourceOptions = {}): ByteSource {
  checkOptionNames('httpSource', options, ['fetch', 'headers'])
  const { fetch, headers = {} } = options
  if (fetch !== undefined) expectFunction('fetch', fetch)
  const site: Site = {
    url: parseUrl(url),
    // Looked up for each request: pages replace it, and browsers want it to be called as their own.
    send: fetch ?? ((input, init) => globalThis.fetch(input, init)),
    headers: expectHeaders(headers)
  }
  return {
    place: withoutSecrets(site.url),
    getBytes: async (...[name, offset, byteLength, signal]) => {
      return await request(site, { name, offset, byteLength }, signal)
    }
  }
}

async function request(
  site: Site,
  asked: { readonly name: string; readonly offset: number; readonly byteLength: number },
  signal: AbortSignal
): Promise<GotBytes> {
  const { offset, byteLength } = asked
  const url = urlOf(site.url, asked.name)
  const path = withoutSecrets(url)
  const start = nowMicros()
  let response
  try {
    response = await site.send(url.href, {
      headers: { ...site.headers, range: `bytes=${offset}-${offset + byteLength - 1}` },
      signal,
      ...cacheMode()
    })
  } catch (cause) {
    signal.throwIfAborted()
    throw noAnswer({ site, path, offset }, cause)
  }
  const latencyMs = (nowMicros() - start) / 1000
  if (url.protocol === 'https:' && response.url.startsWith('http:')) {
    response.body?.cancel().catch(() => undefined)
    throw new RequestFailure('the server redirects to an address without encryption (http:)', {
      code: 'ZGQ_IO',
      path,
      offset
    })
  }
  return { ...(await readAnswer(response, { path, offset, byteLength }, signal)), latencyMs }
}

/**
 * Goes past the HTTP cache of a browser. Chromium's lets one request at a time through for one URL, answers with fewer
 * bytes than it says where it holds some of them, and adds If-Range on its own, which a server answers with the whole
 * file once that changed (docs/decisions.md). Elsewhere there is no such cache, and the request headers that come with
 * `no-store` would only keep a shared proxy from answering.
 */
function cacheMode(): { readonly cache?: 'no-store' } {
  return 'document' in globalThis || 'WorkerGlobalScope' in globalThis ? { cache: 'no-store' } : {}
}

function parseUrl(given: string | URL): URL {
  if (typeof given !== 'string' && !(given instanceof URL))
    throw new TypeError(`url must be a string or an URL, found ${describe(given)}`)
  let url
  try {
    url = new URL(given, ownAddress()?.href)
  } catch (cause) {
    throw new TypeError('url is not an absolute URL such as https://example.org/docs.zgqp', { cause })
  }
  if (url.protocol === 'file:')
    throw new TypeError('url names a file: ZgqIndex.open reads files; fetch takes http: and https:')
  if (url.username !== '' || url.password !== '')
    throw new TypeError('url holds a password, which fetch does not take: send it in headers, as authorization')
  url.hash = ''
  return url
}

function expectHeaders(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`headers must be an object, found ${describe(given)}`)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    // Not quoted: it may be a password.
    if (typeof value !== 'string') throw new TypeError(`headers.${name} must be a string, found a ${typeof value}`)
    if (name.toLowerCase() === 'range') throw new TypeError('headers.range is set by every request itself')
    headers[name] = value
  }
  return headers
}

/** The URL of an object. A name may come from a file that nobody checked yet: it cannot leave the folder. */
function urlOf(base: URL, name: string): URL {
  const url = new URL(base)
  if (name !== '') url.pathname = base.pathname.slice(0, base.pathname.lastIndexOf('/') + 1) + encodeURIComponent(name)
  return url
}

function withoutSecrets(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

/** The address of the page or worker that this runs in; undefined outside of browsers. */
function ownAddress(): { readonly href: string; readonly origin: string } | undefined {
  const location: unknown = Reflect.get(globalThis, 'location')
  if (typeof location !== 'object' || location === null || !('href' in location) || !('origin' in location))
    return undefined
  return { href: String(location.href), origin: String(location.origin) }
}

/** The failure of a request that fetch gave up: browsers do not tell programs why, Node does. */
function noAnswer(
  { site, path, offset }: { readonly site: Site; readonly path: string; readonly offset: number },
  cause: unknown
): RequestFailure {
  const reason = reasonOf(cause)
  const own = ownAddress()
  const headers = Object.keys(site.headers).join(', ')
  const hint =
    own === undefined || own.origin === site.url.origin
      ? ''
      : '; the server is of another origin than this page: it is out of reach, or its CORS headers are missing: ' +
        `Access-Control-Allow-Origin, Access-Control-Expose-Headers: ETag, Content-Range` +
        (headers === '' ? '' : `, Access-Control-Allow-Headers: ${headers}`)
  return new RequestFailure(`the server gave no answer: ${reason}${hint}`, {
    code: 'ZGQ_IO',
    // Redirects without end, or to what fetch does not speak, stay.
    mayPass: !/redirect|scheme/i.test(reason),
    path,
    offset,
    cause
  })
}
