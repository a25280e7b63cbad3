// Writes the compiled kernels into a TypeScript module: no file to find at run time, in Electron's asar or in a bundle.
import { readFileSync, writeFileSync } from 'node:fs'

const wasm = readFileSync(new URL('../../build/kernels.wasm', import.meta.url))
const lines = wasm
  .toString('base64')
  .match(/.{1,120}/g)
  .map((line) => `  '${line}'`)
const text = `// Generated from src/kernels/assembly by \`npm run build:kernels\`; do not edit.
export const WASM_BASE64 = [
${lines.join(',\n')}
].join('')
`
writeFileSync(new URL('wasm-bytes.ts', import.meta.url), text)
