// Published indexes as tests look at them: read whole, with every digest; and publishers in processes of their own,
// from dist/, which tests may kill.

import { createHash } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'

import type { PublishReport } from '../../src/publish.ts'
import { decodeFileRecords } from '../../src/format/file-record.ts'
import { hex } from '../../src/format/header.ts'
import { PAGE_BYTES } from '../../src/format/layout.ts'
import { decodePackedHeader } from '../../src/format/packed-header.ts'
import { decodeOpening, manifestName, partName } from '../../src/format/packed-index.ts'
import { highestManifest } from '../../src/pack/manifests.ts'
import type { ByteSource } from '../../src/remote/byte-source.ts'
import type { TestBucket } from './s3-proxy.ts'
import { S3_ENVIRONMENT } from './s3-proxy.ts'
import { ROOT } from './sources.ts'

export interface Published {
  readonly manifest: number
  readonly digest: string
}

/** Reads a generation whole, the latest one by default; undefined where there is none. */
export async function readPublished(source: ByteSource, number?: number): Promise<Published | undefined> {
  const { signal } = new AbortController()
  const manifest = number ?? highestManifest((await source.list?.('manifest-', signal)) ?? [])
  if (manifest === 0) return undefined
  const name = manifestName(manifest)
  const { bytes: head } = await source.getBytes(name, 0, 2 ** 22, signal)
  const header = decodePackedHeader(head.slice(0, PAGE_BYTES), name)
  const { parts, files } = decodeOpening(head.slice(PAGE_BYTES, PAGE_BYTES + header.openingByteLength), header, name)
  const records = [undefined, ...decodeFileRecords(files, name)]
  for (const [i, part] of parts.entries()) {
    const { bytes } = await source.getBytes(partName(part, records[i]), 0, part.byteLength + 1, signal)
    const found = createHash('sha256').update(bytes).digest()
    if (!found.equals(part.digest)) throw new Error(`part ${i} of manifest ${manifest} is not what was published`)
  }
  return { manifest, digest: hex(header.digest) }
}

export interface Publisher {
  readonly child: ChildProcess
  /** What it reported, or { code, message } of its error; undefined where it was killed. */
  readonly ended: Promise<PublishReport | { readonly code: string; readonly message: string } | undefined>
}

const SCRIPT = `
  import { publishIndex } from '${pathToFileURL(join(ROOT, 'dist', 'publish.js')).href}'
  const [index, to, endpoint] = process.argv.slice(1)
  const report = await publishIndex({ index, to, endpoint }).catch(({ code, message }) => ({ code, message }))
  console.log(JSON.stringify(report))`

/** Starts a process that publishes an index. */
export function startPublisher(bucket: TestBucket, index: string, prefix: string): Publisher {
  const args = ['--no-warnings', '--input-type=module', '--eval', SCRIPT]
  const to = `s3://${bucket.bucket}/${prefix}`
  const child = spawn(process.execPath, [...args, index, to, bucket.endpoint], {
    env: { ...process.env, ...S3_ENVIRONMENT },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let printed = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  const ended = once(child, 'close').then(() => (printed === '' ? undefined : JSON.parse(printed)))
  return { child, ended }
}
