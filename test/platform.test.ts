// What searching takes from Node and what it takes from browsers: both give the same.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import * as node from '../src/platform/node.ts'
import * as web from '../src/platform/web.ts'

const bytes = fc.uint8Array({ maxLength: 300 })
/** Bytes that begin anywhere in their memory: words of 32 bits begin at multiples of 4. */
const placed = fc.tuple(bytes, fc.nat(8)).map(([values, offset]) => {
  const memory = new Uint8Array(values.length + offset + 3)
  memory.set(values, offset)
  return memory.subarray(offset, offset + values.length)
})
/** Whole characters, and halves of them. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.nat(0xffff), { maxLength: 40 }).map((units) => String.fromCharCode(...units)),
  fc.string({ unit: fc.constantFrom('a', '\ufeff', '\ud83d', '\ude00', '\u0000', '\u07ff', '\u0800', '\uffff') })
)
/** UTF-8, UTF-8 with a byte that is not, and anything. */
const almostUtf8 = fc.oneof(
  text.map((value) => Uint8Array.from(Buffer.from(value))),
  fc.tuple(text, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
    const encoded = Uint8Array.from(Buffer.from(value))
    if (encoded.length > 0) encoded[at % encoded.length] = byte
    return encoded
  }),
  fc.uint8Array({ min: 0x60, maxLength: 40 })
)

/** Runs a property with its seed in the message. */
function holds<Value>(values: fc.Arbitrary<Value>, check: (value: Value) => void): void {
  fc.assert(fc.property(values, check), { numRuns: 500 })
}

describe('node.ts and web.ts', () => {
  it('export the same', () => {
    expect(Object.keys(web).sort()).toEqual(Object.keys(node).sort())
  })

  it('compute the same CRC, wherever bytes begin and whatever came before', () => {
    holds(fc.tuple(placed, fc.nat(0xffffffff)), ([value, before]) => {
      expect(web.crc32(value, before)).toBe(node.crc32(value, before))
    })
  })

  it('compute one CRC over a whole and over its parts', () => {
    holds(fc.tuple(bytes, fc.nat(300)), ([value, at]) => {
      const parts = web.crc32(value.subarray(at), web.crc32(value.subarray(0, at), 0))
      expect(parts).toBe(node.crc32(value, 0))
    })
    expect(web.crc32(new TextEncoder().encode('123456789'), 0)).toBe(0xcbf43926)
  })

  it('tell UTF-8 alike', () => {
    holds(almostUtf8, (value) => {
      expect(web.isUtf8(value)).toBe(node.isUtf8(value))
    })
  })

  it('decode alike, whole and in part, what is UTF-8 and what is not', () => {
    holds(fc.tuple(almostUtf8, fc.nat(40), fc.nat(40)), ([value, from, count]) => {
      const start = Math.min(from, value.length)
      const end = Math.min(start + count, value.length)
      expect(web.decodeUtf8(value, start, end)).toBe(node.decodeUtf8(value, start, end))
      expect(web.decodeStrictUtf8(value, start, end)).toBe(node.decodeStrictUtf8(value, start, end))
    })
  })

  it('encode, write and measure alike, halves of characters too', () => {
    holds(text, (value) => {
      const encoded = web.encodeUtf8(value)
      expect([...encoded]).toEqual([...node.encodeUtf8(value)])
      expect([web.utf8ByteLength(value), node.utf8ByteLength(value)]).toEqual([encoded.length, encoded.length])
      const targets = [web, node].map((platform) => {
        const target = platform.textView(new Uint8Array(encoded.length + 5))
        platform.writeUtf8(value, target, 3)
        return [...target]
      })
      expect(targets[0]).toEqual([0, 0, 0, ...encoded, 0, 0])
      expect(targets[1]).toEqual(targets[0])
    })
  })

  it('decode the same Latin-1', () => {
    holds(placed, (value) => {
      expect(web.decodeLatin1(value)).toBe(node.decodeLatin1(value))
    })
    const large = Uint8Array.from({ length: 100_000 }, (_, i) => i)
    expect(web.decodeLatin1(large) === node.decodeLatin1(large)).toBe(true)
  })

  it('decode the same base64', () => {
    holds(bytes, (value) => {
      const encoded = Buffer.from(value).toString('base64')
      expect([...web.decodeBase64(encoded)]).toEqual([...value])
      expect([...node.decodeBase64(encoded)]).toEqual([...value])
    })
  })

  it('order bytes alike', () => {
    const few = fc.uint8Array({ max: 3, maxLength: 4 })
    holds(fc.tuple(few, few), ([left, right]) => {
      expect(Math.sign(web.compareBytes(left, right))).toBe(Math.sign(node.compareBytes(left, right)))
    })
  })

  it('find bytes in others alike', () => {
    const few = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ max: 2, maxLength })
    holds(fc.tuple(few(30), few(4), fc.nat(30)), ([value, part, from]) => {
      expect(web.indexOfBytes(value, part, from)).toBe(node.indexOfBytes(value, part, from))
    })
  })

  it.each([
    ['node', node],
    ['web', web]
  ])('of %s call back in a later turn, in order', async (_, { inNextTurn }) => {
    const order: string[] = []
    const both = new Promise<void>((resolve) => {
      inNextTurn(() => order.push('first'))
      inNextTurn(() => {
        order.push('second')
        resolve()
      })
    })
    await Promise.resolve()
    order.push('this turn')
    await both
    expect(order).toEqual(['this turn', 'first', 'second'])
  })
})
