// What a disk may hold after the power failed: images of a folder, made from a log of calls (crash-log.ts).
//
// The model. A file has contents, a folder has entries; both have a state that is durable and changes that are pending.
// A crash keeps what is durable and, of what is pending, anything:
// - A sync of a file makes all changes of its contents before it durable, its size among them; not its entry.
// - A sync of a folder makes all changes of its entries before it durable; not what the entries lead to.
// - A pending write is kept, dropped, or torn: any of its sectors of 512 bytes are kept, each whole or not at all.
//   Where writes overlap, the later of those that are kept wins. The size may be durable before the bytes: zeros are
//   between.
// - A pending change of an entry (made, renamed, removed) is kept or dropped, whole, whatever becomes of the others.
//   A rename is one change: nothing is between. Between two folders it is durable when the new one was synced.
//
// What is assumed: a sync that returned 0 has reached the medium. A write leaves bytes beside it as they were, also
// within its sectors (SQLite assumes so: "powersafe overwrite"). Bytes that were never written are zeros. What is
// durable does not rot: that is for tests of damage. Modes, owners and times are not looked at; -shm files are left
// out, because SQLite makes them anew. File systems keep more than that (ext4 and XFS keep the order of changes to
// entries): what survives here survives there.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { marksOf, type LoggedCall } from './crash-log.ts'
import { randomFrom } from './random.ts'

const SECTOR_BYTES = 512

interface Write {
  readonly kind: 'write'
  readonly offset: number
  readonly bytes: Uint8Array
}

type DataChange = Write | { readonly kind: 'cut'; readonly size: number }

interface FileNode {
  readonly kind: 'file'
  durable: Uint8Array
  pending: DataChange[]
}

/** One change of one or two entries; a sync of the folder of the last one makes it durable. */
interface EntryChange {
  edits: { readonly folder: FolderNode; readonly name: string; readonly node: Node | undefined }[]
}

interface FolderNode {
  readonly kind: 'folder'
  readonly current: Map<string, Node>
  readonly durable: Map<string, Node>
  pending: EntryChange[]
}

type Node = FileNode | FolderNode

const newFile = (durable = new Uint8Array(0)): FileNode => ({ kind: 'file', durable, pending: [] })
const newFolder = (): FolderNode => ({ kind: 'folder', current: new Map(), durable: new Map(), pending: [] })
const isLeftOut = (name: string): boolean => name.endsWith('-shm')

/** Replays a log; all that is in the folder before it is durable. */
class Disk {
  readonly root: FolderNode
  readonly #nodes = new Map<number, Node>()

  constructor(base: string) {
    this.root = readFolder(base)
  }

  apply(call: LoggedCall): void {
    const { kind, path, second, inode } = call
    if (kind === 'mark') return
    if (kind === 'open') this.#open(call)
    else if (kind === 'make-folder') {
      const folder = newFolder()
      this.#nodes.set(inode, folder)
      this.#edit([{ path, node: folder }])
    } else if (kind === 'rename') {
      const node = this.#find(path)
      if (path !== second && this.#at(second) !== node)
        this.#edit([
          { path, node: undefined },
          { path: second, node }
        ])
    } else if (kind === 'link') this.#edit([{ path: second, node: this.#find(path) }])
    else if (kind === 'remove') this.#edit([{ path, node: undefined }])
    else this.#change(call)
  }

  #open({ path, inode, isNew, isCut }: LoggedCall): void {
    const file = isNew ? newFile() : this.#find(path)
    this.#nodes.set(inode, file)
    if (isNew) this.#edit([{ path, node: file }])
    if (isCut && file.kind === 'file') file.pending.push({ kind: 'cut', size: 0 })
  }

  #change({ kind, path, inode, offset, payload }: LoggedCall): void {
    const node = this.#nodes.get(inode) ?? this.#find(path)
    if (kind === 'sync') sync(node)
    else if (node.kind === 'folder') throw new Error(`a ${kind} of a folder: ${path}`)
    else node.pending.push(kind === 'write' ? { kind, offset, bytes: payload } : { kind: 'cut', size: offset })
  }

  #edit(changes: readonly { path: string; node: Node | undefined }[]): void {
    const edits = changes.map(({ path, node }) => ({ folder: this.#folderOf(path), name: basename(path), node }))
    for (const { folder, name, node } of edits) setEntry(folder.current, name, node)
    const change = { edits }
    for (const folder of new Set(edits.map((edit) => edit.folder))) folder.pending.push(change)
  }

  #at(path: string): Node | undefined {
    let node: Node | undefined = this.root
    for (const name of path.split('/').filter((part) => part !== ''))
      node = node?.kind === 'folder' ? node.current.get(name) : undefined
    return node
  }

  #find(path: string): Node {
    const node = this.#at(path)
    if (node === undefined) throw new Error(`the log changes what it did not make: ${path}`)
    return node
  }

  #folderOf(path: string): FolderNode {
    const node = this.#find(dirname(path) === '.' ? '' : dirname(path))
    if (node.kind === 'file') throw new Error(`${path} lies in a file`)
    return node
  }
}

function readFolder(path: string): FolderNode {
  const folder = newFolder()
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (isLeftOut(entry.name)) continue
    const below = join(path, entry.name)
    const node = entry.isDirectory() ? readFolder(below) : newFile(Uint8Array.from(readFileSync(below)))
    folder.current.set(entry.name, node)
    folder.durable.set(entry.name, node)
  }
  return folder
}

function setEntry(entries: Map<string, Node>, name: string, node: Node | undefined): void {
  if (node === undefined) entries.delete(name)
  else entries.set(name, node)
}

function sync(node: Node): void {
  if (node.kind === 'file') {
    node.durable = withChanges(node.durable, node.pending, () => keepAll)
    node.pending = []
    return
  }
  for (const change of node.pending.slice()) if (change.edits.at(-1)?.folder === node) settle(change)
}

/** Makes a change durable, also in the other folder of a rename; what is pending there for that name is over. */
function settle(change: EntryChange): void {
  for (const { folder, name, node } of change.edits) {
    setEntry(folder.durable, name, node)
    const at = folder.pending.indexOf(change)
    for (const earlier of folder.pending.slice(0, at))
      earlier.edits = earlier.edits.filter((edit) => edit.folder !== folder || edit.name !== name)
  }
  for (const { folder } of change.edits) folder.pending = folder.pending.filter((other) => other !== change)
}

/** What becomes of a pending write: which of its sectors are kept, and whether the size is where none of them is. */
interface WriteFate {
  readonly keepsSector: (sector: number) => boolean
  readonly keepsSize: boolean
}

/** What becomes of the pending changes of one image. */
interface Fates {
  readonly entry: (change: EntryChange) => boolean
  readonly cut: () => boolean
  readonly write: () => WriteFate
}

const WHOLE: WriteFate = { keepsSector: () => true, keepsSize: true }
const NOTHING: WriteFate = { keepsSector: () => false, keepsSize: false }
const keepAll: Fates = { entry: () => true, cut: () => true, write: () => WHOLE }

/** Changes contents in the order of the changes, each by its fate. */
function withChanges(durable: Uint8Array, changes: readonly DataChange[], fateOf: (at: number) => Fates): Uint8Array {
  const ends = changes.map((change) => (change.kind === 'cut' ? change.size : change.offset + change.bytes.byteLength))
  const bytes = new Uint8Array(Math.max(durable.byteLength, ...ends))
  bytes.set(durable)
  let size = durable.byteLength
  for (const [i, change] of changes.entries()) {
    const fates = fateOf(i)
    if (change.kind === 'write') size = write(bytes, size, { change, fate: fates.write() })
    else if (fates.cut()) {
      bytes.fill(0, Math.min(size, change.size), Math.max(size, change.size))
      size = change.size
    }
  }
  return bytes.subarray(0, size)
}

function write(bytes: Uint8Array, size: number, { change, fate }: { change: Write; fate: WriteFate }): number {
  const end = change.offset + change.bytes.byteLength
  let grown = fate.keepsSize ? Math.max(size, end) : size
  for (let at = change.offset, sector = 0; at < end; sector++) {
    const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES)
    if (fate.keepsSector(sector)) {
      grown = Math.max(grown, next)
      bytes.set(change.bytes.subarray(at - change.offset, next - change.offset), at)
    }
    at = next
  }
  return grown
}

/** So many of the images are of what lies there long after, when all was acknowledged. */
const AT_THE_END = 0.1

/** How much of what is pending is kept. */
const MODES = ['nothing', 'all', 'few', 'half', 'most', 'entries', 'contents', 'last torn'] as const
export type CrashMode = (typeof MODES)[number]
const KEPT: Partial<Record<CrashMode, number>> = { few: 0.1, half: 0.5, most: 0.9 }

function fatesOf(mode: CrashMode, random: () => number): Fates {
  if (mode === 'all') return keepAll
  if (mode === 'nothing') return { entry: () => false, cut: () => false, write: () => NOTHING }
  // Files whose contents were forgotten are empty, or zeros.
  const emptied = { ...NOTHING, keepsSize: random() < 0.5 }
  if (mode === 'entries') return { entry: () => true, cut: () => random() < 0.5, write: () => emptied }
  if (mode === 'contents') return { entry: () => false, cut: () => true, write: () => WHOLE }
  if (mode === 'last torn') return { ...keepAll, write: () => torn(random) }
  const kept = KEPT[mode] ?? 1
  // A change may wait in two folders and has one fate.
  const entries = new Map<EntryChange, boolean>()
  return {
    entry: (change) => {
      const isKept = entries.get(change) ?? random() < kept
      entries.set(change, isKept)
      return isKept
    },
    cut: () => random() < kept,
    write: () => (random() < kept ? WHOLE : torn(random))
  }
}

function torn(random: () => number): WriteFate {
  const keepsSize = random() < 0.3
  const kind = random()
  if (kind < 0.4) return { ...NOTHING, keepsSize }
  // A prefix; or any sectors.
  const prefix = Math.floor(random() * 9)
  const seed = random() * 2 ** 32
  if (kind < 0.7) return { keepsSector: (sector) => sector < prefix, keepsSize }
  return { keepsSector: (sector) => randomFrom(seed + sector)() < 0.5, keepsSize }
}

/** Contents of an image; a folder ends by a slash and has none. */
export type ImageFiles = ReadonlyMap<string, Uint8Array>

function imageOf(root: FolderNode, fates: Fates, mode: CrashMode): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  const add = (folder: FolderNode, path: string): void => {
    const entries = new Map(folder.durable)
    for (const change of folder.pending)
      if (fates.entry(change))
        for (const edit of change.edits) if (edit.folder === folder) setEntry(entries, edit.name, edit.node)
    for (const [name, node] of entries) {
      const below = path === '' ? name : `${path}/${name}`
      if (node.kind === 'file') files.set(below, contentOf(node, fates, mode))
      else {
        files.set(`${below}/`, new Uint8Array(0))
        add(node, below)
      }
    }
  }
  add(root, '')
  return files
}

function contentOf({ durable, pending }: FileNode, fates: Fates, mode: CrashMode): Uint8Array {
  const last = pending.length - 1
  return withChanges(durable, pending, (at) => (mode !== 'last torn' || at === last ? fates : keepAll))
}

/** A state that a crash may leave. */
export interface CrashImage {
  /** To find it again: the same seed and count give the same images. */
  readonly number: number
  /** So many calls of the log were made. */
  readonly point: number
  readonly mode: CrashMode
  /** Lines that the program had written as marks before the crash. */
  readonly marks: readonly string[]
  readonly files: ImageFiles
}

export interface CrashImagesOptions {
  /** A copy of the folder as it was when the log began. */
  readonly base: string
  readonly calls: readonly LoggedCall[]
  readonly count: number
  readonly seed: number
  /** Points that are taken one after the other; left out: they are drawn, some of them the end of the log. */
  readonly points?: readonly number[]
}

/** Makes images at `count` points of the log, in its order; those that equal one before are left out. */
export function* crashImages({ base, calls, count, seed, points }: CrashImagesOptions): Generator<CrashImage> {
  const random = randomFrom(seed)
  const draws = Array.from({ length: count }, (_, i) => ({
    point: points?.[i % points.length] ?? drawPoint(random, calls.length),
    mode: MODES[Math.floor(random() * MODES.length)],
    seed: random() * 2 ** 32
  })).sort((a, b) => a.point - b.point)
  const disk = new Disk(base)
  const seen = new Set<string>()
  let done = 0
  let marks: readonly string[] = []
  for (const [number, draw] of draws.entries()) {
    if (draw.point > done) {
      const made = calls.slice(done, draw.point)
      for (const call of made) disk.apply(call)
      marks = [...marks, ...marksOf(made)]
      done = draw.point
    }
    const { mode } = draw
    const files = imageOf(disk.root, fatesOf(mode, randomFrom(draw.seed)), mode)
    const digest = digestOf(files, marks.length)
    if (seen.has(digest)) continue
    seen.add(digest)
    yield { number, point: done, mode, marks, files }
  }
}

function drawPoint(random: () => number, end: number): number {
  return random() < AT_THE_END ? end : Math.floor(random() * (end + 1))
}

function digestOf(files: ImageFiles, marks: number): string {
  const hash = createHash('sha1').update(`${marks}`)
  for (const name of Array.from(files.keys()).sort()) hash.update(`\n${name}\n`).update(files.get(name)!)
  return hash.digest('hex')
}

/** What a process leaves that is killed after all calls, with the power on: to compare with the folder itself. */
export function finalFiles(base: string, calls: readonly LoggedCall[]): ImageFiles {
  const disk = new Disk(base)
  for (const call of calls) disk.apply(call)
  return imageOf(disk.root, keepAll, 'all')
}

/** Contents of a folder on disk, as images have them. */
export function filesBelow(folder: string): ImageFiles {
  return imageOf(readFolder(folder), keepAll, 'all')
}

/** Writes an image into a folder that does not exist. */
export function writeImage(folder: string, { files }: { files: ImageFiles }): void {
  mkdirSync(folder)
  for (const [path, bytes] of files) {
    if (path.endsWith('/')) mkdirSync(join(folder, path), { recursive: true })
    else writeFileSync(join(folder, path), bytes)
  }
}
