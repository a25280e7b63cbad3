// The only clock of the library: nothing else in src asks the time. It appears in `explain`, decides which thread works
// and how often a folder is looked at, and tells runs of a system apart; it never decides what is built or found.

/** Returns microseconds since an arbitrary start. */
export function nowMicros(): number {
  return performance.now() * 1000
}

/** Returns milliseconds since 1970 by the system's clock, which times of files are compared with. */
export function wallMillis(): number {
  return Date.now()
}
