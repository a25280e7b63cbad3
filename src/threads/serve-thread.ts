// The worker's side of a thread: answers calls, one after the other.

import { parentPort } from 'node:worker_threads'

import { sendableError, type SentError } from './thread-error.ts'

/** A call, as it is sent. */
export interface SentCall<Request> {
  readonly call: number
  readonly request: Request
}

/** Messages of a thread: any number of notes, then an answer or an error. */
export type SentReply<Answer, Note> =
  | { readonly call: number; readonly kind: 'note'; readonly note: Note }
  | { readonly call: number; readonly kind: 'answer'; readonly answer: Answer }
  | { readonly call: number; readonly kind: 'error'; readonly error: SentError }

/** An answer, and the buffers of it that go over instead of being copied. */
export interface Reply<Answer> {
  readonly answer: Answer
  readonly transfer?: ArrayBuffer[]
}

/** Answers calls of the parent thread for as long as it lives. `note` sends word before the answer. */
export function serveThread<Request, Answer, Note>(
  handle: (request: Request, note: (note: Note) => void) => Reply<Answer> | Promise<Reply<Answer>>
): void {
  const send = (reply: SentReply<Answer, Note>, transfer?: ArrayBuffer[]): void => {
    parentPort?.postMessage(reply, transfer)
  }
  const reply = async ({ call, request }: SentCall<Request>): Promise<void> => {
    try {
      const { answer, transfer } = await handle(request, (note) => {
        send({ call, kind: 'note', note })
      })
      send({ call, kind: 'answer', answer }, transfer)
    } catch (error) {
      send({ call, kind: 'error', error: sendableError(error) })
    }
  }
  let last = Promise.resolve()
  parentPort?.on('message', (message: SentCall<Request>) => {
    last = last.then(() => reply(message))
  })
}

/** What became of a call. */
export type Served<Answer> = { readonly answer: Answer } | { readonly error: unknown }

/**
 * The same for calls that gain by being answered together: `handle` gets all that have come by now, and returns what
 * became of each. What it throws is the error of all of them.
 */
export function serveTogether<Request, Answer>(handle: (requests: readonly Request[]) => Served<Answer>[]): void {
  let waiting: SentCall<Request>[] = []
  const answer = (): void => {
    const calls = waiting
    waiting = []
    const outcomes = serve(handle, calls)
    for (const [i, { call }] of calls.entries()) {
      const outcome = outcomes[i]
      const reply: SentReply<Answer, never> =
        'error' in outcome
          ? { call, kind: 'error', error: sendableError(outcome.error) }
          : { call, kind: 'answer', answer: outcome.answer }
      parentPort?.postMessage(reply)
    }
  }
  parentPort?.on('message', (message: SentCall<Request>) => {
    if (waiting.push(message) === 1) setImmediate(answer)
  })
}

function serve<Request, Answer>(
  handle: (requests: readonly Request[]) => Served<Answer>[],
  calls: readonly SentCall<Request>[]
): Served<Answer>[] {
  try {
    return handle(calls.map(({ request }) => request))
  } catch (error) {
    return calls.map(() => ({ error }))
  }
}
