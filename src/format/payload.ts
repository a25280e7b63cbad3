// Payloads: what one may be, and its bytes, a map of plain MessagePack (spec, section 4). No I/O.

import { describe } from '../describe.ts'
import { ZgqError, type ZgqErrorPlace } from '../errors.ts'
import { isPlainObject } from '../plain-object.ts'
import { LONE_SURROGATE } from './fields.ts'
import { faultOf, MessagePackReader, type MessagePackLimits } from './message-pack-reader.ts'
import { MessagePackWriter } from './message-pack-writer.ts'

/** Bytes of the longest payload. */
export const MOST_PAYLOAD_BYTES = 16 * 2 ** 20
/** Entries of all maps and elements of all lists of a payload: as many as 16 MB hold numbers, with room to spare. */
export const PAYLOAD_LIMITS: MessagePackLimits = { depth: 32, items: 2 ** 21 }

const EXPECTED = 'expected a plain object, an array, a string, a number, a boolean, null or a Uint8Array'
/** Parts of a path that are longer are cut in messages. */
const SHOWN_CHARACTERS = 40
const NAME = /^[A-Za-z_$][\w$]*$/

/** Encodes payloads; keeps its room for the next one. */
export class PayloadEncoder {
  readonly #what: string
  readonly #limits: MessagePackLimits & { readonly bytes: number }
  readonly #writer: MessagePackWriter
  /** Maps and lists around the value that is written, from the payload on, and where each of them has it. */
  #around: object[] = []
  #path: (string | number)[] = []
  #items = 0
  #row = ''

  /** what: how messages call what is encoded. */
  constructor(what = 'payload', limits = { ...PAYLOAD_LIMITS, bytes: MOST_PAYLOAD_BYTES }) {
    this.#what = what
    this.#limits = limits
    this.#writer = new MessagePackWriter(limits.bytes, () => this.#refuseSize())
  }

  /**
   * Encodes a payload; returns a view that is good until the next call. Throws TypeError, naming `row` (such as
   * `row 7`) and the path in the payload, for what is no plain object, has a value of another kind, is cyclic, deeper
   * than 32 or larger than 16 MB. Keys whose value is undefined are left out.
   */
  encode(payload: unknown, row: string): Uint8Array {
    this.#row = row
    this.#path = []
    this.#around = []
    this.#items = 0
    this.#writer.reset()
    if (!isPlainObject(payload)) this.#refuse(describe(payload), 'expected a plain object')
    this.#writeMap(payload)
    if (this.#writer.written.byteLength > this.#limits.bytes) this.#refuseSize()
    return this.#writer.written
  }

  #write(value: unknown): void {
    const writer = this.#writer
    switch (typeof value) {
      case 'string':
        if (LONE_SURROGATE.test(value)) this.#refuse(describe(value), 'which has a lone surrogate, expected none')
        writer.writeText(value)
        return
      case 'number':
        writer.writeNumber(value)
        return
      case 'boolean':
        writer.writeBoolean(value)
        return
      case 'object':
        if (value === null) writer.writeNull()
        else if (Array.isArray(value)) this.#writeList(value)
        else if (isBytes(value)) writer.writeBytes(value)
        else if (isPlainObject(value)) this.#writeMap(value)
        else this.#refuse(nameOf(value), EXPECTED)
        return
      default:
        this.#refuse(describe(value), EXPECTED)
    }
  }

  #writeMap(map: object): void {
    const entries = Object.entries(map).filter((entry) => entry[1] !== undefined)
    this.#enter(map, entries.length)
    this.#writer.beginMap(entries.length)
    for (const [key, value] of entries) {
      this.#path.push(key)
      if (LONE_SURROGATE.test(key)) this.#refuse('a key with a lone surrogate', 'expected none')
      this.#writer.writeText(key)
      this.#write(value)
      this.#path.pop()
    }
    this.#around.pop()
  }

  #writeList(list: readonly unknown[]): void {
    this.#enter(list, list.length)
    this.#writer.beginList(list.length)
    for (let i = 0; i < list.length; i++) {
      this.#path.push(i)
      this.#write(list[i])
      this.#path.pop()
    }
    this.#around.pop()
  }

  #enter(value: object, length: number): void {
    const { depth, items } = this.#limits
    if (this.#around.includes(value)) this.#refuse('an object that contains itself', 'expected no cycle')
    if (this.#around.length === depth) this.#refuse(describe(value), `expected maps and lists at most ${depth} deep`)
    this.#items += length
    if (this.#items > items) this.#refuse(describe(value), `expected at most ${items} entries and elements altogether`)
    this.#around.push(value)
  }

  #refuse(found: string, expected: string): never {
    throw new TypeError(`${this.#row}: ${this.#what}${this.#path.map(pathPart).join('')} is ${found}, ${expected}`)
  }

  #refuseSize(): never {
    const most = Math.round(this.#limits.bytes / 2 ** 20)
    throw new TypeError(`${this.#row}: ${this.#what} is too large: expected at most ${most} MB as MessagePack`)
  }
}

function pathPart(part: string | number): string {
  if (typeof part === 'number') return `[${part}]`
  const shown = part.length > SHOWN_CHARACTERS ? `${part.slice(0, SHOWN_CHARACTERS)}...` : part
  return NAME.test(shown) ? `.${shown}` : `[${JSON.stringify(shown)}]`
}

function isBytes(value: object): value is Uint8Array {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]'
}

/** Names an instance by its class. */
function nameOf(value: object): string {
  const maker: unknown = Reflect.get(value, 'constructor')
  const found = describe(value)
  return found === 'an object' && typeof maker === 'function' && maker.name !== ''
    ? `an instance of ${maker.name.slice(0, SHOWN_CHARACTERS)}`
    : found
}

/**
 * Decodes the payload of a row, of all its keys or of those that are wanted; the values of others are looked at, and
 * not built. Throws ZGQ_CORRUPT, naming the place.
 */
export function decodePayload(
  bytes: Uint8Array,
  place: ZgqErrorPlace,
  wanted?: ReadonlySet<string>
): Record<string, unknown> {
  let payload: Record<string, unknown> = {}
  const fault =
    bytes.byteLength > MOST_PAYLOAD_BYTES
      ? `it has ${bytes.byteLength} bytes`
      : faultOf(() => {
          const reader = new MessagePackReader(bytes, PAYLOAD_LIMITS)
          payload = reader.readMap(wanted)
          reader.expectEnd()
        })
  if (fault !== undefined)
    throw new ZgqError('ZGQ_CORRUPT', `a payload is not a map of plain MessagePack: ${fault}`, place)
  return payload
}
