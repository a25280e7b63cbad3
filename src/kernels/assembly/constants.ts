// Vectors that loops hold in a register. They are data of the module, in the first 64 bytes of memory, which belong to
// no region (../regions.ts): V8 from Node 24 on makes a constant of the code anew at each use, in three instructions.
// docs/decisions.md has the numbers.

/** 15 in each byte. */
export const NIBBLES = memory.data<u8>([15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15], 16)
/** 15 in each of eight 16-bit lanes. */
export const SHORT_NIBBLES = memory.data<u16>([15, 15, 15, 15, 15, 15, 15, 15], 16)
/** 3 in each. */
export const SHORT_PAIRS = memory.data<u16>([3, 3, 3, 3, 3, 3, 3, 3], 16)
