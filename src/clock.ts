// The only clock. What it says appears in progress and explain, and never decides anything.

/** Returns microseconds since an arbitrary start. */
export function nowMicros(): number {
  return performance.now() * 1000
}
