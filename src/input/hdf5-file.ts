// A data set of an HDF5 file as batches of vectors, read in slices. The package h5wasm is HDF5's own library in
// WebAssembly; it is optional and loaded here.

import { statSync } from 'node:fs'
import { resolve } from 'node:path'

import type * as h5wasm from 'h5wasm/node'

import { wrapReadError, ZgqError } from '../errors.ts'
import type { VectorBatch } from './vector-batch.ts'
import type { BatchFileOptions } from './batch-format.ts'
import { BatchBuffer, shorten, type BatchSource } from './batch-source.ts'
import { InputFile } from './input-file.ts'
import { KIND_BYTES, plainNumbers, toFloat32, type NumberKind } from './number-kinds.ts'
import { checkDim } from './row-source.ts'

type Hdf5Package = typeof h5wasm
type Hdf5Module = Awaited<Hdf5Package['ready']>
type Metadata = ReturnType<Hdf5Module['get_dataset_metadata']>

/** ann-benchmarks' name for the vectors. */
const DEFAULT_DATA_SET = 'train'
const SIGNATURE = '\x89HDF\r\n\x1a\n'
const SLICE_BYTES = 4 * 2 ** 20
/** A slice is whole chunks, so that none is inflated twice, unless they are larger than this. */
const CHUNK_LIMIT = 256 * 2 ** 20

/**
 * h5wasm cannot close a file in which a read failed: opened again, the library would answer from what it kept. So such
 * files are remembered, by device and inode, for the life of the process, which is how long h5wasm keeps them open.
 */
const stuck = new Set<string>()

/**
 * Opens the data set `column` (default `train`) of an HDF5 file: two axes, float16 to float64 or integers.
 * Rejects with ZGQ_UNSUPPORTED where h5wasm is not installed, ZGQ_NOT_FOUND, ZGQ_IO, ZGQ_BUILD_INPUT, ZGQ_TRUNCATED and
 * ZGQ_DIMENSION.
 */
export async function openHdf5File(path: string, options: BatchFileOptions): Promise<BatchSource> {
  checkSignature(path)
  const identity = identityOf(path)
  if (stuck.has(identity))
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      'this process found the file damaged before, and h5wasm keeps what it read then: read it in a new process, ' +
        'or read a copy',
      { path }
    )
  const hdf5 = await loadHdf5()
  const set = new Hdf5Set(hdf5, { path, name: options.column ?? DEFAULT_DATA_SET, onStuck: () => stuck.add(identity) })
  return {
    dim: set.dim,
    idType: undefined,
    hasPayloads: false,
    batches: readBatches(set),
    close: () => {
      set.close()
    }
  }
}

async function loadHdf5(): Promise<{ hdf5: Hdf5Package; module: Hdf5Module }> {
  try {
    const hdf5 = await import('h5wasm/node')
    const module = await hdf5.ready
    module.activate_throwing_error_handler() // else errors are printed and zeros returned
    return { hdf5, module }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `HDF5 files need the package h5wasm, which does not load: ${reason}. Install it beside zgq: npm install ` +
        'h5wasm',
      { cause }
    )
  }
}

/** The signature stands at byte 0, or, after a block of the user's, at 512, 1024, 2048, ... */
function checkSignature(path: string): void {
  const file = InputFile.open(path)
  try {
    const bytes = new Uint8Array(SIGNATURE.length)
    for (let offset = 0; offset + bytes.length <= file.byteLength; offset = Math.max(512, offset * 2)) {
      file.read(bytes, offset)
      if (Buffer.from(bytes).toString('latin1') === SIGNATURE) return
    }
    throw new ZgqError('ZGQ_BUILD_INPUT', 'the file is not HDF5: it does not have its signature', { path })
  } finally {
    file.close()
  }
}

function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch (error) {
    throw wrapReadError(error, path, 'open the input')
  }
}

/** A data set of an open file. Owns the file and the memory that slices pass through. */
class Hdf5Set {
  readonly dim: number
  readonly count: number
  readonly name: string
  readonly rowsPerSlice: number
  readonly #module: Hdf5Module
  readonly #path: string
  readonly #onStuck: () => void
  readonly #file: InstanceType<Hdf5Package['File']>
  readonly #kind: NumberKind
  readonly #memory: number
  #isClosed = false

  constructor(
    loaded: { hdf5: Hdf5Package; module: Hdf5Module },
    of: { path: string; name: string; onStuck: () => void }
  ) {
    this.#module = loaded.module
    this.#path = of.path
    this.#onStuck = of.onStuck
    this.name = of.name
    this.#file = openFile(loaded.hdf5, of.path)
    try {
      const metadata = this.#find()
      const [count, dim] = this.#shapeOf(metadata)
      this.count = count
      this.dim = dim
      this.#kind = this.#kindOf(metadata)
      const rowBytes = dim * KIND_BYTES[this.#kind]
      const chunkRows = metadata.chunks?.[0] ?? 1
      const step = chunkRows * rowBytes > CHUNK_LIMIT ? 1 : chunkRows
      this.rowsPerSlice = step * Math.max(1, Math.floor(SLICE_BYTES / (step * rowBytes)))
      this.#memory = this.#module._malloc(this.rowsPerSlice * rowBytes)
      if (this.#memory === 0)
        throw new ZgqError('ZGQ_IO', `h5wasm has no memory for ${this.rowsPerSlice * rowBytes} bytes`, {
          path: this.#path
        })
    } catch (error) {
      this.#file.close()
      throw error
    }
  }

  /** Reads `rowCount` rows from `firstRow` on, at most a slice. */
  read(firstRow: number, rowCount: number): Float32Array {
    const byteLength = rowCount * this.dim * KIND_BYTES[this.#kind]
    const [count, offset, strides] = [
      [rowCount, this.dim],
      [firstRow, 0],
      [1, 1]
    ].map((numbers) => numbers.map(BigInt))
    try {
      const status = this.#module.get_dataset_data(
        this.#file.file_id,
        this.name,
        count,
        offset,
        strides,
        BigInt(this.#memory)
      )
      if (status !== 0) throw new Error(`reading ended with status ${status}`)
    } catch (error) {
      this.#onStuck()
      throw wrapHdf5Error(error, this.#path)
    }
    return toFloat32(plainNumbers(this.#module.HEAPU8.subarray(this.#memory, this.#memory + byteLength), this.#kind))
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#module._free(this.#memory)
    this.#file.close()
  }

  #find(): Metadata {
    const isDataSet = (name: string): boolean =>
      this.#try(() => this.#module.get_type(this.#file.file_id, name)) === this.#module.H5O_TYPE_DATASET
    const names = this.#try(() => this.#file.paths())
    if (names.includes(this.name.replace(/^\//, '')) && isDataSet(this.name))
      return this.#try(() => this.#module.get_dataset_metadata(this.#file.file_id, this.name))
    const found = names.filter(isDataSet)
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the file has no data set ${this.name}: ` +
        `${found.length === 0 ? 'it has none' : `it has ${found.slice(0, 20).join(', ')}`}; name one with ` +
        'the option column',
      { path: this.#path }
    )
  }

  #shapeOf(metadata: Metadata): [count: number, dim: number] {
    const { shape, virtual_sources: sources } = metadata
    const place = { path: this.#path }
    if (shape?.length !== 2)
      throw new ZgqError(
        'ZGQ_BUILD_INPUT',
        `the data set ${this.name} has shape (${shape?.join(', ') ?? ''}), expected two axes: rows and dimensions`,
        place
      )
    // What is missing of their sources would be read as zeros.
    if (sources !== undefined && sources.length > 0)
      throw new ZgqError(
        'ZGQ_BUILD_INPUT',
        `the data set ${this.name} is virtual: its data are in ${sources[0].file_name}`,
        place
      )
    const [count, dim] = shape
    if (count === 0)
      throw new ZgqError('ZGQ_BUILD_INPUT', `the file has no vectors: the data set ${this.name} has no rows`, place)
    checkDim(dim, place)
    return [count, dim]
  }

  #kindOf(metadata: Metadata): NumberKind {
    const { H5T_INTEGER, H5T_FLOAT } = this.#module.H5T_class_t
    const { type, size, signed } = metadata
    const letter = type === H5T_FLOAT.value ? 'f' : type === H5T_INTEGER.value ? (signed ? 'i' : 'u') : '?'
    const kind = NUMBER_KINDS.find((candidate) => candidate === `${letter}${size}`)
    if (kind !== undefined) return kind
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the data set ${this.name} does not hold numbers (HDF5 class ${type}, ${size} bytes), expected float16 to ` +
        'float64 or integers',
      { path: this.#path }
    )
  }

  #try<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw wrapHdf5Error(error, this.#path)
    }
  }
}

function openFile(hdf5: Hdf5Package, path: string): InstanceType<Hdf5Package['File']> {
  try {
    return new hdf5.File(resolve(path), 'r')
  } catch (error) {
    throw wrapHdf5Error(error, path)
  }
}

function wrapHdf5Error(error: unknown, path: string): ZgqError {
  const reason = deepestReason(error)
  const code = reason.includes('truncated file') ? 'ZGQ_TRUNCATED' : 'ZGQ_BUILD_INPUT'
  return new ZgqError(code, `the HDF5 file is damaged, or of a kind that is not supported: ${reason}`, {
    path,
    cause: error
  })
}

const NUMBER_KINDS: readonly NumberKind[] = ['f2', 'f4', 'f8', 'i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8']

/** HDF5 describes an error by a stack of calls; the last one says what was found. */
function deepestReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const reasons = Array.from(text.matchAll(/^\s*#\d+: .*? in \w+\(\): (.+)$/gm), ([, reason]) => reason)
  return reasons.at(-1) ?? shorten(text)
}

async function* readBatches(set: Hdf5Set): AsyncGenerator<VectorBatch> {
  const buffer = new BatchBuffer(set.dim)
  for (let row = 0; row < set.count; row += set.rowsPerSlice) {
    for (const vectors of buffer.append(set.read(row, Math.min(set.rowsPerSlice, set.count - row)))) yield { vectors }
  }
  for (const vectors of buffer.rest()) yield { vectors }
}
