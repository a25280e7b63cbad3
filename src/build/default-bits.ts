// How many bits a dimension codes get when a build is told nothing.

/** Four: measured fastest at equal recall on every set (bench/README.md); fewer save memory and disk. */
export function defaultBits(_dim: number): number {
  return 4
}
