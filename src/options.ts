// Checks of option objects that every public entry shares: a misspelled name is an error, not a default.

import { describe } from './describe.ts'

/** Throws TypeError unless `options` is an object whose every key is one of `names`. */
export function checkOptionNames(what: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${what}: options must be an object, found ${describe(options)}`)
  for (const key of Object.keys(options)) {
    if (!names.includes(key))
      throw new TypeError(`${what}: unknown option ${JSON.stringify(key)}; known are ${names.join(', ')}`)
  }
}

export interface Range {
  readonly least: number
  readonly most?: number
}

/** Throws TypeError for what is not a number, RangeError for what is not a safe integer from `least` to `most`. */
export function expectWholeNumber(name: string, value: unknown, range: Range): void {
  const { least, most = Number.MAX_SAFE_INTEGER } = range
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, found ${describe(value)}`)
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new RangeError(
      `${name} must be a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}, ` +
        `found ${value}`
    )
  }
}

/** Throws TypeError unless `value` is one of `choices`. */
export function expectOneOf(name: string, value: unknown, choices: readonly string[]): void {
  if (typeof value !== 'string' || !choices.includes(value))
    throw new TypeError(`${name} must be one of ${choices.join(', ')}, found ${describe(value)}`)
}

/** Throws TypeError for what is not a boolean, and returns it. The others likewise. */
export function expectFlag(name: string, given: boolean): boolean {
  if (typeof given !== 'boolean') throw new TypeError(`${name} must be a boolean, found ${describe(given)}`)
  return given
}

export function expectFunction<Call>(name: string, given: Call): Call {
  if (typeof given !== 'function') throw new TypeError(`${name} must be a function, found ${describe(given)}`)
  return given
}

export function expectSignal(name: string, given: AbortSignal | undefined): AbortSignal | undefined {
  if (given !== undefined && !(given instanceof AbortSignal))
    throw new TypeError(`${name} must be an AbortSignal, found ${describe(given)}`)
  return given
}
