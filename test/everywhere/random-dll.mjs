// Makes bcryptprimitives.dll for Wine before version 9, which lacks it: programs in Rust, as the bundler under Vitest
// is one, do not start without its one function. The library has no code of its own; it forwards ProcessPrng to
// SystemFunction036 of advapi32, which fills bytes likewise.

const SECTION_ADDRESS = 0x1000
const FILE_ALIGNMENT = 0x200
const PE_HEADER = 0x80
const OPTIONAL_HEADER = PE_HEADER + 24
const OPTIONAL_HEADER_BYTES = 240

/**
 * Returns the library as bytes: a PE32+ file of one section that holds one forwarded export (Microsoft's "PE Format").
 */
export function randomDll() {
  const file = Buffer.alloc(2 * FILE_ALIGNMENT)
  const put = (offset, ...fields) => {
    for (const [bytes, value] of fields)
      offset = bytes === 8 ? file.writeBigUInt64LE(BigInt(value), offset) : file.writeUIntLE(value, offset, bytes)
  }
  file.write('MZ', 0, 'latin1')
  put(60, [4, PE_HEADER])
  file.write('PE\0\0', PE_HEADER, 'latin1')
  // machine x64, sections, time, symbols, their number, size of the optional header; executable, 64-bit, DLL
  put(PE_HEADER + 4, [2, 0x8664], [2, 1], [4, 0], [4, 0], [4, 0], [2, OPTIONAL_HEADER_BYTES], [2, 0x2022])
  // PE32+, linker, sizes of code and data, entry point, base of code
  put(OPTIONAL_HEADER, [2, 0x20b], [2, 0], [4, 0], [4, FILE_ALIGNMENT], [4, 0], [4, 0], [4, SECTION_ADDRESS])
  put(OPTIONAL_HEADER + 24, [8, 0x180000000], [4, SECTION_ADDRESS], [4, FILE_ALIGNMENT])
  put(OPTIONAL_HEADER + 40, [2, 6], [2, 0], [2, 0], [2, 0], [2, 6], [2, 0]) // versions of system, image, subsystem
  // sizes of image and headers, checksum, console, NX
  put(OPTIONAL_HEADER + 56, [4, 2 * SECTION_ADDRESS], [4, FILE_ALIGNMENT], [4, 0], [2, 3], [2, 0x100])
  // stack, heap, flags, data directories
  put(OPTIONAL_HEADER + 72, [8, 2 ** 20], [8, 4096], [8, 2 ** 20], [8, 4096], [4, 0], [4, 16])
  // the first directory: exports. Its size must take in the forwarder's text
  put(OPTIONAL_HEADER + 112, [4, SECTION_ADDRESS], [4, 160])
  const section = OPTIONAL_HEADER + OPTIONAL_HEADER_BYTES
  file.write('.edata', section, 'latin1')
  put(section + 8, [4, 160], [4, SECTION_ADDRESS], [4, FILE_ALIGNMENT], [4, FILE_ALIGNMENT])
  put(section + 36, [4, 0x40000040]) // initialised data, readable
  const at = (offset) => SECTION_ADDRESS + offset
  const exported = FILE_ALIGNMENT
  // flags, time, version, name of the library; first ordinal, one function, one name; tables of functions, names and
  // ordinals
  put(exported, [4, 0], [4, 0], [4, 0], [4, at(60)], [4, 1], [4, 1], [4, 1], [4, at(40)], [4, at(44)], [4, at(48)])
  put(exported + 40, [4, at(100)], [4, at(82)], [2, 0])
  file.write('bcryptprimitives.dll\0', exported + 60, 'latin1')
  file.write('ProcessPrng\0', exported + 82, 'latin1')
  file.write('advapi32.SystemFunction036\0', exported + 100, 'latin1')
  return file
}
