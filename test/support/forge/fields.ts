// The fields of one record, by name, over bytes that are somebody's: what is set is set there.

import { sizeOf, type Structure } from './structures.ts'

export type FieldValue = number | bigint | Uint8Array

export class Fields<K extends string> {
  readonly structure: Structure<K>
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(structure: Structure<K>, bytes: Uint8Array) {
    this.structure = structure
    this.bytes = bytes.subarray(0, structure.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, structure.byteLength)
  }

  /** A u64 may come out rounded. */
  get(name: K): number {
    const { offset, type } = this.structure.fields[name]
    if (type === 'u32') return this.#view.getUint32(offset, true)
    if (type === 'f64') return this.#view.getFloat64(offset, true)
    return Number(this.#view.getBigUint64(offset, true))
  }

  bytesOf(name: K): Uint8Array {
    const { offset, type } = this.structure.fields[name]
    return this.bytes.subarray(offset, offset + sizeOf(type))
  }

  /** Integers wrap around: -1 is the largest one. */
  set(name: K, value: FieldValue): void {
    const { offset, type } = this.structure.fields[name]
    if (value instanceof Uint8Array) this.bytesOf(name).set(value)
    else if (type === 'f64') this.#view.setFloat64(offset, Number(value), true)
    else if (type === 'u32') this.#view.setUint32(offset, Number(BigInt.asUintN(32, BigInt(value))), true)
    else this.#view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true)
  }

  change(values: Partial<Record<K, FieldValue>>): void {
    for (const name of this.names) {
      const value = values[name]
      if (value !== undefined) this.set(name, value)
    }
  }

  get names(): K[] {
    return Object.keys(this.structure.fields) as K[]
  }

  copy(): Fields<K> {
    return new Fields(this.structure, this.bytes.slice())
  }
}

/** Cuts bytes into records, each with bytes of its own. */
export function recordsOf<K extends string>(structure: Structure<K>, bytes: Uint8Array): Fields<K>[] {
  return Array.from({ length: Math.floor(bytes.byteLength / structure.byteLength) }, (_, i) =>
    new Fields(structure, bytes.subarray(i * structure.byteLength, (i + 1) * structure.byteLength)).copy()
  )
}
