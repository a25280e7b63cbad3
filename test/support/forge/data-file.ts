// A data file for a forger: header, directory and footer, extents put in, and their checksums mended.

import { crc32 } from 'node:zlib'

import { Fields } from './fields.ts'
import { DIRECTORY_ENTRY, FOOTER, HEADER, type FILE_RECORD } from './structures.ts'

export type FileKind = 'vectors' | 'codes' | 'fields' | 'payload' | 'ids' | 'delta'
const KINDS: readonly FileKind[] = ['vectors', 'codes', 'fields', 'payload', 'ids', 'delta']
export type FileFields = Fields<keyof typeof FILE_RECORD.fields>
export type FooterFields = Fields<keyof typeof FOOTER.fields>

export const PAGE = 4096
const CRC_AT = PAGE - 4

export const padded = (byteLength: number, to = PAGE): number => Math.ceil(byteLength / to) * to

/** A record of a directory, and the centroid behind it. */
export interface DirectoryEntry {
  readonly fields: Fields<keyof typeof DIRECTORY_ENTRY.fields>
  readonly centroid: Float32Array
}

export interface Directory {
  entries: DirectoryEntry[]
  superseded: bigint[]
}

export class DataFile {
  readonly kind: FileKind
  readonly record: FileFields
  readonly dim: number
  /** As it stands in the folder, and as it will. */
  readonly oldName: string
  name: string
  bytes: Uint8Array
  /** The directory as a forger wants it; undefined: as the catalogue says. */
  #directory: Directory | undefined
  readonly #footerChanges: ((footer: FooterFields) => void)[] = []
  readonly #headerCrc: number

  constructor(of: { record: FileFields; name: string; bytes: Uint8Array; dim: number }) {
    this.record = of.record
    this.kind = KINDS[of.record.get('kind') - 1]
    this.name = of.name
    this.oldName = of.name
    this.bytes = of.bytes
    this.dim = of.dim
    this.#headerCrc = of.record.get('headerCrc')
  }

  get header(): Fields<keyof typeof HEADER.fields> {
    return new Fields(HEADER, this.bytes)
  }

  get #footer(): FooterFields {
    return new Fields(FOOTER, this.bytes.subarray(this.bytes.byteLength - FOOTER.byteLength))
  }

  get #recordBytes(): number {
    return padded(DIRECTORY_ENTRY.byteLength + this.dim * 4, 8)
  }

  /** The directory, to be changed: from then on it does not follow the catalogue. */
  get directory(): Directory {
    this.#directory ??= this.#readDirectory()
    return this.#directory
  }

  /** Changes the footer after all else of it was mended, but for its checksum. */
  changeFooter(change: (footer: FooterFields) => void): void {
    this.#footerChanges.push(change)
  }

  #readDirectory(): Directory {
    const footer = this.#footer
    const start = footer.get('directoryOffset')
    const count = footer.get('segmentCount')
    const entries = Array.from({ length: count }, (_, i) => {
      const at = start + i * this.#recordBytes
      const bytes = this.bytes.slice(at, at + this.#recordBytes)
      return {
        fields: new Fields(DIRECTORY_ENTRY, bytes),
        centroid: new Float32Array(bytes.buffer, DIRECTORY_ENTRY.byteLength, this.dim)
      }
    })
    const numbers = new DataView(this.bytes.buffer, start + count * this.#recordBytes)
    const superseded = Array.from({ length: footer.get('supersededCount') }, (_, i) =>
      numbers.getBigUint64(i * 8, true)
    )
    return { entries, superseded }
  }

  /** Puts an extent in: before the directory, or at the end. Returns where. */
  append(extent: Uint8Array): number {
    const at = this.kind === 'vectors' ? this.#footer.get('directoryOffset') : this.bytes.byteLength
    const more = new Uint8Array(padded(extent.byteLength))
    more.set(extent)
    this.#resize(Buffer.concat([this.bytes.subarray(0, at), more, this.bytes.subarray(at)]))
    if (this.kind === 'vectors') this.#footer.set('directoryOffset', at + more.byteLength)
    return at
  }

  /** Takes other bytes, and says so where no forger said otherwise. */
  #resize(bytes: Uint8Array): void {
    const before = this.bytes.byteLength
    this.bytes = Uint8Array.from(bytes)
    if (this.header.get('fileByteLength') === before) this.header.set('fileByteLength', bytes.byteLength)
    if (this.record.get('byteLength') === before) this.record.set('byteLength', bytes.byteLength)
  }

  /** Mends directory, footer and header; `entries`: what the catalogue says of the segments that lie here. */
  mend(entries: () => DirectoryEntry[]): void {
    if (this.kind === 'vectors') this.#mendDirectory(this.#directory ?? { entries: entries(), superseded: [] })
    const view = new DataView(this.bytes.buffer)
    view.setUint32(CRC_AT, crc32(this.bytes.subarray(0, CRC_AT)), true)
    if (this.record.get('headerCrc') === this.#headerCrc) this.record.set('headerCrc', view.getUint32(CRC_AT, true))
  }

  #mendDirectory({ entries, superseded }: Directory): void {
    const bytes = new Uint8Array(entries.length * this.#recordBytes + superseded.length * 8)
    entries.forEach(({ fields, centroid }, i) => {
      bytes.set(fields.bytes, i * this.#recordBytes)
      bytes.set(new Uint8Array(centroid.slice().buffer), i * this.#recordBytes + DIRECTORY_ENTRY.byteLength)
    })
    const numbers = new DataView(bytes.buffer, entries.length * this.#recordBytes)
    superseded.forEach((number, i) => {
      numbers.setBigUint64(i * 8, number, true)
    })
    const start = this.#footer.get('directoryOffset')
    if (bytes.byteLength !== this.#footer.get('directoryByteLength')) {
      const footer = this.#footer.copy()
      footer.change({
        directoryByteLength: bytes.byteLength,
        segmentCount: entries.length,
        supersededCount: superseded.length
      })
      const whole = new Uint8Array(padded(start + bytes.byteLength + FOOTER.byteLength))
      whole.set(this.bytes.subarray(0, start))
      whole.set(footer.bytes, whole.byteLength - FOOTER.byteLength)
      this.#resize(whole)
    }
    this.bytes.set(bytes, start)
    const footer = this.#footer
    footer.set('directoryCrc', crc32(bytes))
    for (const change of this.#footerChanges) change(footer)
    footer.set('crc', crc32(footer.bytes.subarray(0, FOOTER.fields.crc.offset)))
  }
}
