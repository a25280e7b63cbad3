// The packages that read Parquet, loaded with the first such file: hyparquet for footers and headers,
// hyparquet-compressors and zlib to inflate pages.

import { brotliDecompressSync, gunzipSync } from 'node:zlib'

import type * as hyparquet from 'hyparquet'
import type * as hyparquetCompressors from 'hyparquet-compressors'
import type { parquetHeader } from 'hyparquet/src/column.js'
import type { deltaBinaryUnpack } from 'hyparquet/src/delta.js'
import type { readOffsetIndex } from 'hyparquet/src/indexes.js'

/** The parts of the packages that are used. */
export interface ParquetLibrary {
  readonly readMetadata: typeof hyparquet.parquetMetadataAsync
  readonly schemaOf: typeof hyparquet.parquetSchema
  readonly readHeader: typeof parquetHeader
  readonly readPageIndex: typeof readOffsetIndex
  readonly unpackDeltas: typeof deltaBinaryUnpack
  readonly inflateSnappy: typeof hyparquet.snappyUncompress
  readonly codecs: typeof hyparquetCompressors
}

export async function loadParquetLibrary(): Promise<ParquetLibrary> {
  const [main, column, indexes, delta, codecs] = await Promise.all([
    import('hyparquet'),
    import('hyparquet/src/column.js'),
    import('hyparquet/src/indexes.js'),
    import('hyparquet/src/delta.js'),
    import('hyparquet-compressors')
  ])
  return {
    readMetadata: main.parquetMetadataAsync,
    schemaOf: main.parquetSchema,
    readHeader: column.parquetHeader,
    readPageIndex: indexes.readOffsetIndex,
    unpackDeltas: delta.deltaBinaryUnpack,
    inflateSnappy: main.snappyUncompress,
    codecs
  }
}

/**
 * Inflates the values of a page, to no more than `byteLength` bytes; throws for damage that the compression shows and
 * for what is not read.
 */
export function inflate(
  library: ParquetLibrary,
  codec: string,
  page: { readonly bytes: Uint8Array; readonly byteLength: number }
): Uint8Array {
  const { bytes, byteLength } = page
  switch (codec) {
    case 'SNAPPY': {
      const target = new Uint8Array(byteLength)
      // in JavaScript: the WebAssembly of the codecs would keep room for the largest page, twice
      library.inflateSnappy(bytes, target)
      return target
    }
    case 'ZSTD':
      return inflateZstd(bytes, byteLength) ?? library.codecs.decompressZstd(bytes, new Uint8Array(byteLength))
    case 'GZIP': // zlib looks at its checksum
      return gunzipSync(bytes, { maxOutputLength: byteLength })
    case 'BROTLI':
      return brotliDecompressSync(bytes, { maxOutputLength: byteLength })
    case 'LZ4':
      return library.codecs.decompressLz4(bytes, byteLength)
    case 'LZ4_RAW':
      return library.codecs.decompressLz4Raw(bytes, byteLength)
    default:
      throw new Error(`the compression ${codec}, which is not supported`)
  }
}

/** Node has it from 22.15 on, some four times as fast as JavaScript; undefined before. */
function inflateZstd(bytes: Uint8Array, byteLength: number): Uint8Array | undefined {
  const zlib: object = process.getBuiltinModule('node:zlib')
  if (!('zstdDecompressSync' in zlib) || typeof zlib.zstdDecompressSync !== 'function') return undefined
  const inflated: unknown = zlib.zstdDecompressSync(bytes, { maxOutputLength: byteLength })
  return inflated instanceof Uint8Array ? inflated : undefined
}
