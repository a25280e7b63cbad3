// How much of what could be tried is tried: in `npm test` every promise, by some of its cases; in `npm run test:long`
// every case; in `npm run torture` the tests at random and in steps, too, at their longest.

export const IS_TORTURE = process.env['ZGQ_TORTURE'] !== undefined

/** Whether tests run whose promise a shorter one makes as well, and all cases where `spread` takes some. */
export const IS_LONG = IS_TORTURE || process.env['ZGQ_LONG'] !== undefined

/** A step between cases that are much alike, or how often something is done; `torture` tries all. */
export const step = (daily: number, torture = 1): number => (IS_TORTURE ? torture : daily)

/** What is taken in `npm test`, and what in the longer forms. */
export const size = (daily: number, long: number): number => (IS_LONG ? long : daily)

/** Some of many cases that are much alike, spread evenly, the first and the last among them; all in the long forms. */
export function spread<Case>(cases: readonly Case[], most: number): Case[] {
  if (IS_LONG || cases.length <= most) return [...cases]
  if (most === 1) return cases.slice(0, 1)
  return Array.from({ length: most }, (_, i) => cases[Math.round((i * (cases.length - 1)) / (most - 1))])
}
