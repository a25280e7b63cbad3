// Bytes that stand where MessagePack of ours should.

const text = (value: string): number[] => [0xa0 + value.length, ...Buffer.from(value)]

export const MESSAGE_PACK: readonly (readonly [string, Uint8Array])[] = [
  ['a timestamp extension', Uint8Array.of(0x81, ...text('seed'), 0xd6, 0xff, 0, 0, 0, 1)],
  ['an extension of 4 GB', Uint8Array.of(0x81, ...text('seed'), 0xc9, 0xff, 0xff, 0xff, 0xff, 1)],
  ['a record of msgpackr', Uint8Array.of(0xd4, 0x72, 0x40, 0x91, ...text('seed'), 1)],
  ['an undefined of msgpackr', Uint8Array.of(0x81, ...text('seed'), 0xd4, 0, 0)],
  ['lists in lists, 100,000 deep', new Uint8Array(100_000).fill(0x91)],
  [
    'maps in maps, 200 deep',
    Uint8Array.from([
      ...Array(200)
        .fill([0x81, ...text('a')])
        .flat(),
      1
    ])
  ],
  ['a list of 2^32 - 1', Uint8Array.of(0x81, ...text('seed'), 0xdd, 0xff, 0xff, 0xff, 0xff)],
  ['a map of 2^32 - 1', Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff)],
  ['a string of 4 GB', Uint8Array.of(0x81, ...text('seed'), 0xdb, 0xff, 0xff, 0xff, 0xff, 65)],
  ['bytes of 4 GB', Uint8Array.of(0x81, ...text('seed'), 0xc6, 0xff, 0xff, 0xff, 0xff, 65)],
  ['a key twice', Uint8Array.of(0x82, ...text('seed'), 1, ...text('seed'), 2)],
  ['a key that is a number', Uint8Array.of(0x81, 7, 1)],
  ['bytes behind the map', Uint8Array.of(0x81, ...text('seed'), 1, 1)],
  ['a string that is not UTF-8', Uint8Array.of(0x81, ...text('seed'), 0xa2, 0xc3, 0x28)],
  ['the type that is never used', Uint8Array.of(0x81, ...text('seed'), 0xc1)],
  ['nothing', new Uint8Array(0)],
  ['a list', Uint8Array.of(0x91, 1)],
  ['a map that is cut short', Uint8Array.of(0x82, ...text('seed'), 1)]
]

/** A list of very many empty maps: a byte each. */
export function emptyMaps(count: number): Uint8Array {
  const bytes = Buffer.alloc(5 + count, 0x80)
  bytes[0] = 0xdd
  bytes.writeUInt32BE(count, 1)
  return bytes
}

export const MILLION_MAPS = Buffer.concat([Uint8Array.of(0x81, ...text('seed')), emptyMaps(1_000_000)])
export const MANY_MAPS = Buffer.concat([Uint8Array.of(0x81, ...text('seed')), emptyMaps(8191)])
