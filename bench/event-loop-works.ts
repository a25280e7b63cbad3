// What `npm run event-loop` has done, and by which calls.

export const MODES = ['search', 'searchAsync', 'searchBatch'] as const
export const WORKS = [
  { work: 'exact', says: '30 exact searches of all', queries: 30, isExact: true, isCold: false },
  { work: 'cold', says: '300 default searches, cold', queries: 300, isExact: false, isCold: true },
  { work: 'cold-exact', says: '3 exact searches of all, cold', queries: 3, isExact: true, isCold: true }
] as const
