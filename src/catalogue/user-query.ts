// A query of a database that the app may have open itself: read by a process of its own. Two SQLite libraries in one
// process do not know of each other, and on one file the first to close it drops the locks of the other (POSIX); which
// libraries an app has cannot be told. In a process of its own the query does not block the event loop either.

import { spawn, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import { Readable, Writable } from 'node:stream'

import { onAbort } from '../abort.ts'
import { isDenied, wrapReadError, ZgqError } from '../errors.ts'
import { receivedError } from '../threads/thread-error.ts'
import { queryProcessFile } from '../threads/process-file.ts'
import { decodeFrames, FRAMES_DESCRIPTOR, type QueryMessage, type QueryRequest } from './query-messages.ts'

/** How much of what the process writes to standard error is kept for a message. */
const KEPT_CHARACTERS = 2000

/** A query that can be read once. */
export interface UserQuery {
  readonly columnNames: readonly string[]
  /** Rows as arrays of values: integers as bigint, BLOBs as bytes. Rejects as `openUserQuery` does. */
  readonly rows: AsyncIterable<readonly unknown[]>
  /** Ends the query at once; a second call does nothing. */
  close(): void
}

interface QueryProcess {
  readonly child: ChildProcess
  readonly input: Writable
  readonly errors: Readable
  readonly frames: Readable
}

/**
 * Opens a database read-only and runs a SELECT; when `signal` is aborted the process is killed, whatever SQLite is at,
 * and what waits for it rejects with the signal's reason. Rejects with ZGQ_NOT_FOUND, ZGQ_IO, ZGQ_LOCKED,
 * ZGQ_UNSUPPORTED (no SQLite, or no process can be started), and ZGQ_BUILD_INPUT for what is no SQLite database and for
 * a query that SQLite refuses, with its message.
 */
export async function openUserQuery(path: string, sql: string, signal?: AbortSignal): Promise<UserQuery> {
  signal?.throwIfAborted()
  const reader = await start(path)
  const messages = messagesOf(reader, path, signal)
  const kill = (): void => {
    reader.child.kill('SIGKILL')
    reader.frames.destroy()
  }
  const stopListening = onAbort(signal, kill)
  const close = (): void => {
    stopListening()
    kill()
  }
  try {
    signal?.throwIfAborted()
    const request: QueryRequest = { path: resolve(path), sql }
    reader.input.end(JSON.stringify(request))
    const first = await messages.next()
    if (first.done === true || first.value.kind !== 'columns')
      throw new ZgqError('ZGQ_IO', 'the process that reads the database sent no columns', { path })
    return { columnNames: first.value.columnNames, rows: rowsOf(messages), close }
  } catch (error) {
    close()
    throw error
  }
}

async function start(path: string): Promise<QueryProcess> {
  refuseSingleFile(path)
  // Electron's program is Node.js only when it is told so.
  const env = process.versions['electron'] === undefined ? process.env : { ...process.env, ELECTRON_RUN_AS_NODE: '1' }
  try {
    const file = await queryProcessFile()
    const child = spawn(process.execPath, [file], {
      env,
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
      windowsHide: true
    })
    const { stdin: input, stderr: errors } = child
    const frames = child.stdio[FRAMES_DESCRIPTOR]
    if (!(input instanceof Writable && errors instanceof Readable && frames instanceof Readable)) {
      child.kill('SIGKILL')
      throw new Error('it has no pipes')
    }
    input.on('error', () => undefined) // it ended early: what it wrote says why
    return { child, input, errors, frames }
  } catch (cause) {
    throw cause instanceof ZgqError ? cause : cannotStart(cause, path)
  }
}

/** In a program of one file, process.execPath is the app: it would start itself again. */
function refuseSingleFile(path: string): void {
  const sea = process.getBuiltinModule('node:sea')
  const isSingleFile = sea !== undefined && 'isSea' in sea && typeof sea.isSea === 'function' && sea.isSea() === true
  if (isSingleFile || 'pkg' in process) throw cannotStart(new Error('this program is a single file'), path)
}

function cannotStart(cause: unknown, path: string): ZgqError {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '')
  const flag = isDenied(cause) ? 'start Node with --allow-child-process, or ' : ''
  return new ZgqError(
    'ZGQ_UNSUPPORTED',
    `a database is read by a separate process, which cannot be started: ${reason}. Instead, ${flag}run the ` +
      'query yourself and give its rows as an async iterable',
    { path, cause }
  )
}

/**
 * Yields what the process sends, until the end; throws its errors, the reason of an abort, and ZGQ_IO where it ends too
 * early.
 */
async function* messagesOf(
  { child, errors, frames }: QueryProcess,
  path: string,
  signal: AbortSignal | undefined
): AsyncGenerator<QueryMessage> {
  let words = ''
  errors.setEncoding('utf8').on('data', (chunk: string) => {
    words = (words + chunk).slice(-KEPT_CHARACTERS)
  })
  const ended = new Promise<string>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signalName) => {
      resolve(code === null ? `by ${String(signalName)}` : `with exit code ${code}`)
    })
  })
  ended.catch(() => undefined) // looked at below
  const failed = (cause: unknown): never => {
    throw cannotStart(cause, path)
  }
  try {
    for await (const message of decodeFrames(frames)) {
      if (message.kind === 'error') throw receivedError(message.error)
      if (message.kind === 'end') return
      yield message
    }
  } catch (error) {
    signal?.throwIfAborted()
    if (!(error instanceof ZgqError)) await ended.catch(failed) // Deno closes the pipes of what it did not start
    throw wrapReadError(error, path, 'read rows from the process that reads the database')
  }
  signal?.throwIfAborted()
  const how = await ended.catch(failed)
  throw new ZgqError(
    'ZGQ_IO',
    `the process that reads the database ended ${how} before it had sent all rows: ${words}`,
    {
      path
    }
  )
}

async function* rowsOf(messages: AsyncIterable<QueryMessage>): AsyncGenerator<readonly unknown[]> {
  for await (const message of messages) if (message.kind === 'rows') yield* message.rows
}
