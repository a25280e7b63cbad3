// A set of numbers that rows are looked up in: a hash table in one array. A JavaScript Set takes several times as long,
// because it hashes fractions as objects.

/** Numbers that are not NaN; 0 and -0 are one of them. */
export class NumberSet {
  /** Ascending. */
  readonly values: Float64Array
  /** Open addressing; NaN is an empty place. */
  readonly #table: Float64Array
  readonly #shift: number

  constructor(numbers: Iterable<number>) {
    this.values = Float64Array.from(new Set(numbers)).sort()
    const bits = Math.ceil(Math.log2(this.values.length + 1)) + 1
    this.#table = new Float64Array(2 ** bits).fill(NaN)
    this.#shift = 32 - bits
    const words = new Uint32Array(this.values.buffer)
    this.values.forEach((value, i) => {
      this.#table[this.#placeOf(value, words[i * 2], words[i * 2 + 1])] = value
    })
  }

  /** Tells whether number i of an array is in the set; words: the same array as u32. */
  hasAt(numbers: Float64Array, words: Uint32Array, i: number): boolean {
    const value = numbers[i]
    return this.#table[this.#placeOf(value, words[i * 2], words[i * 2 + 1])] === value
  }

  /** Finds the place of a value in the table, or the empty place where it would go. */
  #placeOf(value: number, low: number, high: number): number {
    const table = this.#table
    // Without the sign, 0 and -0 have one hash. The multipliers are those of MurmurHash3.
    const mixed = Math.imul(low, 0xcc9e_2d51) ^ Math.imul(high & 0x7fff_ffff, 0x1b87_3593)
    let place = Math.imul(mixed ^ (mixed >>> 15), 0x85eb_ca6b) >>> this.#shift
    while (table[place] !== value && table[place] === table[place]) place = (place + 1) & (table.length - 1)
    return place
  }
}
