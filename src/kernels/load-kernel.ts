// Chooses the kernel at load.

import type { Kernel } from './kernel.ts'
import { createScalarKernel } from './scalar-kernel.ts'
import { createWasmKernel } from './wasm-kernel.ts'

/** Creates a kernel with its own memory: WebAssembly SIMD where it loads, else the scalar one. Results are equal. */
export function loadKernel(): Kernel {
  return createWasmKernel() ?? createScalarKernel()
}
