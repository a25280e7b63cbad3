// Ctrl-C for subcommands that work for long: they stop in order, what they have done is kept, and one line says how to
// go on. Subcommands that are soon over do not listen, and the system ends them.

/** How long stopping may take; then the process ends as a crash would end it, which loses nothing either. */
const PATIENCE_MS = 3000

const EXIT_CODES: Readonly<Record<'SIGINT' | 'SIGTERM', number>> = { SIGINT: 130, SIGTERM: 143 }

/** The end of a subcommand by a signal. */
export class Interrupted extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

/**
 * Runs work that a signal to the process stops; it then rejects with Interrupted, whatever the work rejects with.
 * `describe` says what is left, once the work has stopped.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>, describe: () => string): Promise<T> {
  const controller = new AbortController()
  const stopped = { exitCode: 0 }
  const stop = (name: NodeJS.Signals): void => {
    const exitCode = name === 'SIGTERM' ? EXIT_CODES.SIGTERM : EXIT_CODES.SIGINT
    const endNow = (): void => {
      process.stderr.write(`zgq: ${describe()}\n`)
      process.exit(exitCode)
    }
    if (stopped.exitCode > 0) endNow() // asked for twice
    stopped.exitCode = exitCode
    setTimeout(endNow, PATIENCE_MS).unref()
    controller.abort(new Interrupted('interrupted', exitCode))
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  try {
    return await work(controller.signal)
  } catch (error) {
    throw stopped.exitCode > 0 ? new Interrupted(describe(), stopped.exitCode) : error
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}
