// Stand-in for what is written on another branch.
export interface PartPlan {
  readonly name: string
  readonly byteLength: number
  readonly digest: Uint8Array
  readonly path: string
}
export interface PackPlan {
  readonly head: Uint8Array
  readonly digest: Uint8Array
  readonly parts: readonly PartPlan[]
  readonly byteLength: number
}
export async function withPackPlan<T>(
  path: string,
  options: { layout: 'file' | 'folder'; onProgress?: unknown; signal?: AbortSignal | undefined },
  work: (plan: PackPlan) => Promise<T>
): Promise<T> {
  return await work({ head: new Uint8Array(), digest: new Uint8Array(), parts: [], byteLength: 0 })
}
