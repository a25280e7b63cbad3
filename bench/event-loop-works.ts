// What `npm run event-loop` has done, and by which calls.

/** `nothing` waits as long as half a second: what the machine itself holds up. */
export const MODES = ['nothing', 'search', 'searchAsync', 'searchBatch'] as const
export const WORKS = [
  { work: 'exact', says: '20 exact searches of all', queries: 20, isExact: true, isCold: false },
  { work: 'cold', says: '300 default searches, cold', queries: 300, isExact: false, isCold: true },
  { work: 'cold-exact', says: '3 exact searches of all, cold', queries: 3, isExact: true, isCold: true }
] as const
