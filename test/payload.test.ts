// Payloads as bytes: what one may be, what comes back, and that bytes of any origin are looked at first.

import { Packr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { runInNewContext } from 'node:vm'

import { MessagePackReader } from '../src/format/message-pack-reader.ts'
import { decodePayload, MOST_PAYLOAD_BYTES, PAYLOAD_LIMITS, PayloadEncoder } from '../src/format/payload.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { randomFrom } from './support/random.ts'

const encode = (payload: unknown): Uint8Array => Uint8Array.from(new PayloadEncoder().encode(payload, 'row 7'))
const decode = (bytes: Uint8Array, wanted?: string[]): Record<string, unknown> =>
  decodePayload(bytes, { path: 'payload.zgq', offset: 5 }, wanted === undefined ? undefined : new Set(wanted))
const oracle = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' })
const SEED = 31

/** Nested in so many lists. */
function nested(depth: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = [value]
  return value
}

describe('payloads', () => {
  const integers = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]
  const numbers = [...integers, ...integers.map((n) => -n), -32, -33, -129, -32_769, 0.5, 1e300, Infinity, NaN, 2 ** 60]

  it('come back as they were, and as another library reads them', () => {
    const payload = {
      numbers,
      texts: ['', 'x', 'y'.repeat(31), 'z'.repeat(32), '\u00e4\ud83d\ude00'.repeat(50), 'w'.repeat(70_000)],
      flags: [true, false, null],
      bytes: [new Uint8Array(0), Uint8Array.from({ length: 300 }, (_, i) => i), new Uint8Array(70_000)],
      lists: [[], Array.from({ length: 20 }, (_, i) => i), [[[1]]]],
      maps: [{}, Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, i]))],
      long: Array.from({ length: 70_000 }, (_, i) => i % 5)
    }
    const bytes = encode(payload)
    expect(decode(bytes)).toEqual(payload)
    expect(Object.is(decode(encode({ a: -0 }))['a'], -0)).toBe(true)
    const read: unknown = oracle.unpack(Buffer.from(bytes))
    expect(JSON.stringify(read)).toBe(JSON.stringify({ ...payload, bytes: payload.bytes.map((b) => Buffer.from(b)) }))
  })

  it('of random shape are the bytes that another library makes, floats apart', () => {
    const random = randomFrom(SEED)
    const value = (depth: number): unknown => {
      const kind = Math.floor(random() * (depth > 3 ? 4 : 6))
      if (kind === 0) return Math.floor((random() - 0.5) * 2 ** Math.floor(random() * 54))
      if (kind === 1) return 'text '.repeat(Math.floor(random() * 20))
      if (kind === 2) return random() < 0.5
      if (kind === 3) return null
      const items = Array.from({ length: Math.floor(random() * 20) }, () => value(depth + 1))
      return kind === 4 ? items : Object.fromEntries(items.map((item, i) => [`key ${i}`, item]))
    }
    for (let i = 0; i < 200; i++) {
      const payload = { value: value(0) }
      const bytes = encode(payload)
      expect(decode(bytes), `seed ${SEED}`).toEqual(payload)
      expect(oracle.unpack(Buffer.from(bytes)), `seed ${SEED}`).toEqual(payload)
      expect(decode(Uint8Array.from(oracle.pack(payload))), `seed ${SEED}`).toEqual(payload)
    }
  })

  it('leave out keys without a value, and take objects without a prototype and of another realm', () => {
    expect(decode(encode({ a: undefined, b: 1 }))).toEqual({ b: 1 })
    expect(decode(encode(Object.assign(Object.create(null), { a: 1 })))).toEqual({ a: 1 })
    expect(decode(encode(runInNewContext('({ a: [1, { b: new Uint8Array([3]) }] })')))).toEqual({
      a: [1, { b: Uint8Array.of(3) }]
    })
    expect(decode(encode({ a: Buffer.from([1, 2]) }))).toEqual({ a: Uint8Array.of(1, 2) })
  })

  it('take one object in two places', () => {
    const shared = { x: 1 }
    expect(decode(encode({ a: shared, b: [shared] }))).toEqual({ a: { x: 1 }, b: [{ x: 1 }] })
  })

  it('hold names such as __proto__ like any other', () => {
    const text = '{"__proto__":{"evil":1},"constructor":2,"toJSON":3,"deep":{"__proto__":4}}'
    const found = decode(encode(JSON.parse(text)))
    expect(JSON.stringify(found)).toBe(text)
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype)
    expect(Object.hasOwn(found, '__proto__')).toBe(true)
    expect(found['evil']).toBeUndefined()
    expect(decode(encode(JSON.parse(text)), ['deep'])).not.toHaveProperty('evil')
    expect(Object.prototype).not.toHaveProperty('evil')
  })

  it('are decoded by some of their keys, in the order of the bytes', () => {
    const bytes = encode({ a: { big: [1, 2, 3] }, path: 'x', b: 'y', body: 'z' })
    expect(Object.entries(decode(bytes, ['body', 'path', 'none']))).toEqual([
      ['path', 'x'],
      ['body', 'z']
    ])
  })

  it('have 16 MB at most', () => {
    const head = encode({ a: 'x'.repeat(70_000) }).byteLength - 70_000
    const most = { a: 'x'.repeat(MOST_PAYLOAD_BYTES - head) }
    const bytes = encode(most)
    expect(bytes.byteLength).toBe(MOST_PAYLOAD_BYTES)
    expect(decode(bytes)).toEqual(most)
    expect(() => encode({ a: `${most.a}x` })).toThrow(/^row 7: payload is too large: expected at most 16 MB/)
    expect(() => encode({ a: 'x'.repeat(2 ** 25) })).toThrow(TypeError)
    expect(() => encode({ a: new Uint8Array(2 ** 25) })).toThrow(TypeError)
  })

  class Note {
    readonly text = 'x'
  }
  const cyclic: Record<string, unknown> = { deep: { list: [] } }
  Object.assign(cyclic, { deep: { list: [1, cyclic] } })

  it.each<[string, unknown, RegExp]>([
    ['a list', [1], /^row 7: payload is an array of 1 value, expected a plain object/],
    ['null', null, /^row 7: payload is null/],
    ['nothing', undefined, /^row 7: payload is undefined/],
    ['a string', 'x', /payload is "x"/],
    ['a Map', new Map(), /payload is a Map/],
    ['a date', { tags: [1, 2, 3, new Date(0)] }, /payload\.tags\[3\] is a Date/],
    ['a bigint', { a: { 'b c': 1n } }, /payload\.a\["b c"\] is the bigint 1/],
    ['a function', { f: () => 1 }, /payload\.f is the function f/],
    ['a symbol', { s: Symbol('x') }, /payload\.s is a symbol/],
    ['undefined in a list', { a: [undefined] }, /payload\.a\[0\] is undefined/],
    ['a hole in a list', { a: new Array(2) }, /payload\.a\[0\] is undefined/],
    ['an instance of a class', { n: new Note() }, /payload\.n is an instance of Note/],
    ['another typed array', { v: new Float32Array(2) }, /payload\.v is a Float32Array/],
    ['itself', cyclic, /payload\.deep\.list\[1\] is an object that contains itself/],
    ['too much depth', { a: nested(32) }, /at most 32 deep/],
    ['a lone surrogate', { a: 'x\ud800' }, /payload\.a .*lone surrogate/],
    ['a key with a lone surrogate', { '\ud800': 1 }, /key with a lone surrogate/],
    ['too many elements', { a: new Array(2 ** 21 + 1).fill(1) }, /at most 2097152 entries/]
  ])('may not be or hold %s', (_, payload, message) => {
    expect(() => encode(payload)).toThrow(TypeError)
    expect(() => encode(payload)).toThrow(message)
  })

  it('go as deep as 32', () => {
    const payload = { a: nested(31) }
    expect(decode(encode(payload))).toEqual(payload)
  })
})

describe('bytes of a payload', () => {
  const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
  it.each([
    ['nothing', ''],
    ['no map', '93010203'],
    ['a number', '05'],
    ['something left behind', '8000'],
    ['an end too early', '81a161'],
    ['a key that is a number', '810102'],
    ['a key that is nil', '81c002'],
    ['a key twice', '82a16101a16102'],
    ['a text that is not UTF-8', '81a161a1ff'],
    ['a key that is not UTF-8', '81a1ff01'],
    ['an extension type', '81a161d40100'],
    ['the type that is never used', '81a161c1'],
    ['a length beyond the bytes', '81a161dbffffffff'],
    ['a list longer than the bytes', '81a161ddffffffff01'],
    ['a map longer than the bytes', 'dfffffffff'],
    ['too much depth', `81a161${'91'.repeat(32)}01`]
  ])('are refused with %s, whether it is wanted or not', (_, hex) => {
    expect(errorOf(() => decode(bytesOf(hex)))).toMatchObject({ code: 'ZGQ_CORRUPT', path: 'payload.zgq', offset: 5 })
    expect(codeOf(() => decode(bytesOf(hex), ['other']))).toBe('ZGQ_CORRUPT')
  })

  it('are refused with very many items, and above 16 MB', () => {
    const list = new Uint8Array(PAYLOAD_LIMITS.items + 20).fill(0xc0)
    list.set(bytesOf('81a161dd'))
    new DataView(list.buffer).setUint32(4, PAYLOAD_LIMITS.items + 12)
    expect(codeOf(() => decode(list))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => decode(new Uint8Array(MOST_PAYLOAD_BYTES + 1)))).toBe('ZGQ_CORRUPT')
  })

  it('that are damaged anywhere give a payload or ZGQ_CORRUPT', () => {
    const whole = encode({ a: [1, 'two', null, { b: Uint8Array.of(1, 2) }], c: 2 ** 40, d: 0.5 })
    for (let at = 0; at < whole.length; at++) {
      for (const mask of [1, 0x80, 0xff, 0x55]) {
        const bytes = Uint8Array.from(whole)
        bytes[at] ^= mask
        try {
          expect(typeof decode(bytes)).toBe('object')
        } catch (error) {
          expect(error).toMatchObject({ code: 'ZGQ_CORRUPT' })
        }
      }
    }
  })

  it('are read from the middle of a buffer', () => {
    const bytes = encode({ a: 'x', b: Uint8Array.of(9) })
    const around = new Uint8Array(bytes.length + 6).fill(7)
    around.set(bytes, 3)
    expect(decode(around.subarray(3, 3 + bytes.length))).toEqual({ a: 'x', b: Uint8Array.of(9) })
  })

  it('are passed over like they are read', () => {
    const reader = new MessagePackReader(encode({ a: [{ b: 1 }] }), PAYLOAD_LIMITS)
    reader.skipMap()
    expect(() => reader.expectEnd()).not.toThrow()
  })
})
