// On which file systems `mapping: 'auto'` maps: those of built-in disks; it reads plainly where a disk can go away, and
// where it does not know.

import { existsSync, statfsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { findMappingRisk, findWritingRisk, riskOnLinux, riskOnMacos, writingRiskOnLinux } from '../src/file-systems.ts'
import { openReaders } from '../src/storage/open-readers.ts'
import { makeFile, numbered } from './support/reader-contract.ts'
import { useTempFolder } from './support/temp-folder.ts'

const isLinux = process.platform === 'linux'
const temp = useTempFolder('file-systems')

describe('the type of a file system on Linux', () => {
  it.each([
    ['ext4', 0xef53],
    ['XFS', 0x58465342],
    ['Btrfs', 0x9123683e],
    ['ZFS', 0x2fc12fc1],
    ['F2FS', 0xf2f52010],
    ['bcachefs', 0xca451a4e],
    ['tmpfs', 0x01021994],
    ['overlayfs', 0x794c7630]
  ])('of a built-in disk or of memory speaks not against mapping: %s', (_, type) => {
    expect(riskOnLinux(type)).toBeUndefined()
  })

  it.each([
    ['NFS', 0x6969],
    ['SMB', 0x517b],
    ['CIFS', 0xff534d42],
    ['SMB2', 0xfe534d42],
    ['FUSE', 0x65735546],
    ['9P', 0x01021997],
    ['Ceph', 0x00c36400],
    ['Lustre', 0x0bd00bd3],
    ['GFS2', 0x01161970],
    ['OCFS2', 0x7461636f],
    ['AFS', 0x5346414f],
    ['vboxsf', 0x786f4256],
    ['prl_fs', 0x7c7c6673],
    ['vmhgfs', 0xbacbacbc],
    ['FAT', 0x4d44],
    ['exFAT', 0x2011bab0]
  ])('of a disk that can go away is a risk, with its name: %s', (name, type) => {
    expect(riskOnLinux(type)).toMatch(
      new RegExp(`^the index is on ${name}\\b.*a failed read under a mapping would end the process$`)
    )
  })

  it('that is not known is a risk, with its number', () => {
    expect(riskOnLinux(0xabcdef)).toContain('type 0xabcdef')
  })
})

describe('writing to an index', () => {
  it.each([
    ['NFS', 0x6969],
    ['SMB2', 0xfe534d42],
    ['FUSE', 0x65735546],
    ['9P', 0x01021997]
  ])('on a disk that other machines may have open is a risk, with its name: %s', (name, type) => {
    expect(writingRiskOnLinux(type)).toMatch(new RegExp(`^the index is on ${name}\\b.*locks may not keep writers`))
  })

  it.each([
    ['ext4', 0xef53],
    ['exFAT', 0x2011bab0],
    ['one that is not known', 0xabcdef]
  ])('on another is none: %s', (_, type) => {
    expect(writingRiskOnLinux(type)).toBeUndefined()
  })

  it('is none in the temporary folder here, and in one that is not there', () => {
    expect(findWritingRisk(temp.path)).toBeUndefined()
    expect(findWritingRisk(temp.fresh('nowhere'))).toBeUndefined()
  })
})

describe('the type of a file system on macOS', () => {
  it('is no risk where it is that of the system volume', () => {
    expect(riskOnMacos(26, 26)).toBeUndefined()
  })

  it('is a risk where it is another', () => {
    expect(riskOnMacos(31, 26)).toContain('on file system 31, not on 26')
  })
})

describe.runIf(isLinux)('a folder on Linux', () => {
  const small = makeFile(temp, 8192)
  const choose = (folder: string, mapping: 'auto' | 'mmap'): { kind: string; reason: string } => {
    const readers = openReaders(folder, numbered(small), mapping)
    const chosen = readers.chosen()
    readers.close()
    return chosen
  }

  it('is asked for its type', () => {
    expect(findMappingRisk('/proc')).toContain(`type 0x${statfsSync('/proc').type.toString(16)}`)
    expect(findMappingRisk('/dev/shm')).toBeUndefined()
    expect(existsSync(temp.path) && findMappingRisk(`${temp.path}/not-there`)).toContain('does not answer statfs')
  })

  it('of a type that is not known is read by pread with auto, and info says why', () => {
    expect(choose('/proc', 'auto')).toMatchObject({
      kind: 'pread',
      reason: expect.stringContaining('not known to be a built-in disk')
    })
  })

  it('of a type that is not known is mapped where the caller insists', () => {
    expect(choose('/proc', 'mmap')).toEqual({ kind: 'mmap', reason: 'asked for' })
  })

  it('in memory is mapped with auto, and info says why', () => {
    expect(choose('/dev/shm', 'auto')).toEqual({
      kind: 'mmap',
      reason: 'koffi loads, and the file system is one of built-in disks'
    })
  })
})
