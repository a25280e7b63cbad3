// How much of what could be tried is tried: some of it in `npm test`, all of it in `npm run torture`.

export const IS_TORTURE = process.env['ZGQ_TORTURE'] !== undefined

/** A step between cases that are much alike; 1 tries all. */
export const step = (daily: number, torture = 1): number => (IS_TORTURE ? torture : daily)
