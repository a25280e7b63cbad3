// One listener on an AbortSignal, whoever waits for it: Node warns of a leak where a signal has more than ten, and an
// app may well hand one signal to a hundred searches.

type Callback = () => void

interface Waiting {
  readonly callbacks: Set<Callback>
  readonly listener: Callback
}

/** Who waits for a signal. */
const waitingFor = new WeakMap<AbortSignal, Waiting>()

/** Calls back once when the signal is aborted; returns what ends the wait. Without a signal nothing happens. */
export function onAbort(signal: AbortSignal | undefined, callback: Callback): () => void {
  if (signal === undefined) return () => undefined
  const { callbacks, listener } = waitingFor.get(signal) ?? listenTo(signal)
  const own: Callback = () => {
    callback()
  }
  callbacks.add(own)
  return () => {
    if (!callbacks.delete(own) || callbacks.size > 0) return
    signal.removeEventListener('abort', listener)
    waitingFor.delete(signal)
  }
}

/** Does work under a signal of its own that follows another, for what listens to it without `onAbort`. */
export async function withOwnSignal<Result>(
  signal: AbortSignal,
  work: (own: AbortSignal) => Promise<Result>
): Promise<Result> {
  signal.throwIfAborted()
  const ending = new AbortController()
  const endWait = onAbort(signal, () => {
    ending.abort(signal.reason)
  })
  try {
    return await work(ending.signal)
  } finally {
    endWait()
  }
}

function listenTo(signal: AbortSignal): Waiting {
  const callbacks = new Set<Callback>()
  const listener: Callback = () => {
    waitingFor.delete(signal)
    for (const callback of callbacks) callback()
    callbacks.clear()
  }
  const waiting = { callbacks, listener }
  waitingFor.set(signal, waiting)
  signal.addEventListener('abort', listener, { once: true })
  return waiting
}
