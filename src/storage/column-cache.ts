// What was decoded of segments and is likely to be asked for again: ids, places of payloads, columns of fields. Bounded
// by bytes; what was used longest ago goes first.

/** Bytes that an entry takes besides what it holds. */
const ENTRY_BYTES = 200

export class ColumnCache<Value> {
  readonly #mostBytes: number
  /** In the order of their use, the oldest first. */
  readonly #entries = new Map<number, { readonly value: Value; readonly byteLength: number }>()
  #byteLength = 0
  #last: { readonly key: number; readonly value: Value } | undefined

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  get(key: number): Value | undefined {
    if (this.#last?.key === key) return this.#last.value // moving an entry to the end takes longer than all else
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    this.#last = { key, value: entry.value }
    return entry.value
  }

  has(key: number): boolean {
    return this.#entries.has(key)
  }

  /** Keeps a value; others may have to go, and one that is larger than the cache is kept alone. */
  put(key: number, value: Value, byteLength: number): void {
    this.#drop(key)
    const entry = { value, byteLength: byteLength + ENTRY_BYTES }
    this.#entries.set(key, entry)
    this.#last = { key, value }
    this.#byteLength += entry.byteLength
    for (const [other, { byteLength }] of this.#entries) {
      if (this.#byteLength <= this.#mostBytes || other === key) return
      this.#entries.delete(other)
      this.#byteLength -= byteLength
    }
  }

  /** Forgets the values whose keys somebody tells. */
  dropWhere(isDropped: (key: number) => boolean): void {
    for (const key of [...this.#entries.keys()]) if (isDropped(key)) this.#drop(key)
  }

  #drop(key: number): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#byteLength -= entry.byteLength
    if (this.#last?.key === key) this.#last = undefined
  }
}
