// The memory of the scalar kernel as numbers of each kind. Pointers are byte offsets, as everywhere in the kernels:
// divide by the size of a number to index.

export interface ScalarViews {
  readonly bytes: Uint8Array
  readonly shorts: Int16Array
  readonly words: Uint32Array
  readonly floats: Float32Array
  readonly doubles: Float64Array
  readonly view: DataView
}

export function viewsOf(buffer: ArrayBuffer): ScalarViews {
  return {
    bytes: new Uint8Array(buffer),
    shorts: new Int16Array(buffer),
    words: new Uint32Array(buffer),
    floats: new Float32Array(buffer),
    doubles: new Float64Array(buffer),
    view: new DataView(buffer)
  }
}
