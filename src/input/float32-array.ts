// Sources over arrays already in memory.
// Whether values are finite is checked by the build, not here.

import { countOf, describe, formatCount } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { checkDim, checkRange, type IdSource, type RowSource } from './row-source.ts'

/**
 * Wraps vectors in memory (float32, count * dim, row-major) as a source; they are not copied.
 * Throws ZGQ_DIMENSION if `dim` is not 1 to 65,536 or the length is no multiple of it, ZGQ_BUILD_INPUT if there are no
 * vectors.
 */
export function float32ArraySource(values: Float32Array, dim: number): RowSource {
  checkDim(dim)
  if (values.length === 0) throw new ZgqError('ZGQ_BUILD_INPUT', 'the input has no vectors: the array is empty')
  if (values.length % dim !== 0)
    throw new ZgqError(
      'ZGQ_DIMENSION',
      `the array has ${countOf(values.length, 'value')}, expected a multiple of dim ${formatCount(dim)}`
    )
  const source = {
    dim,
    count: values.length / dim,
    label: 'Float32Array',
    readRows(firstRow: number, target: Float32Array): void {
      checkRange(source, firstRow, target.length / dim)
      target.set(values.subarray(firstRow * dim, firstRow * dim + target.length))
    },
    close(): void {
      // nothing to release
    }
  }
  return source
}

/**
 * Wraps ids in memory, in the order of the rows, as a source; they are not copied. `label` names them in messages.
 * Throws ZGQ_BUILD_INPUT if there are none; reading throws it, with the row, where one is not a safe integer >= 0.
 */
export function arrayIdSource(ids: ArrayLike<number>, label = 'ids'): IdSource {
  if (ids.length === 0) throw new ZgqError('ZGQ_BUILD_INPUT', `${label}: the input has no ids`)
  const source = {
    count: ids.length,
    label,
    readIds(firstRow: number, target: Float64Array): void {
      checkRange(source, firstRow, target.length)
      for (let at = 0; at < target.length; at++) {
        const id = ids[firstRow + at]
        if (!Number.isSafeInteger(id) || id < 0) {
          throw new ZgqError(
            'ZGQ_BUILD_INPUT',
            `${label}: the id of row ${firstRow + at} is ${describe(id)}, expected a safe integer >= 0`
          )
        }
        target[at] = id
      }
    },
    close(): void {
      // nothing to release
    }
  }
  return source
}
