// Tells on which file systems files may be mapped by default, and which an index is not written to. A read that fails
// under a mapping ends the process (SIGBUS), where a plain read is an error: so disks that can go away are read
// plainly, and so is all that is not known here.

import { statfsSync } from 'node:fs'
import { resolve } from 'node:path'

/**
 * Types that Linux gives to file systems on built-in disks and in memory (statfs(2), linux/magic.h, and the sources of
 * those outside the kernel).
 */
const SAFE_ON_LINUX: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xca451a4e, // bcachefs
  0x2fc12fc1, // ZFS
  0xf2f52010, // F2FS
  0x3153464a, // JFS
  0x52654973, // ReiserFS
  0x3434, // NILFS
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x794c7630, // overlayfs: what is below is nearly always one of these
  0xf15f, // eCryptfs, above one of these
  0x73717368, // SquashFS
  0xe0f5e1e2 // EROFS
])

/**
 * Types that Linux gives to file systems that other machines may have open too, or that may be of this kind: locks and
 * shared memory, which SQLite keeps writers and readers apart by, do not reach there.
 */
const SHARED_ON_LINUX: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS, a network disk'],
  [0x517b, 'SMB, a network disk'],
  [0xff534d42, 'CIFS, a network disk'],
  [0xfe534d42, 'SMB2, a network disk'],
  [0x65735546, 'FUSE (sshfs, NTFS-3G and others)'],
  [0x01021997, '9P, a disk of the host of this machine'],
  [0x786f4256, 'vboxsf, a disk of the host of this machine'],
  [0x7c7c6673, 'prl_fs, a disk of the host of this machine'],
  [0xbacbacbc, 'vmhgfs, a disk of the host of this machine'],
  [0x00c36400, 'Ceph, a network disk'],
  [0x0bd00bd3, 'Lustre, a network disk'],
  [0x47504653, 'GPFS, a network disk'],
  [0x19830326, 'BeeGFS, a network disk'],
  [0x01161970, 'GFS2, a disk shared by machines'],
  [0x7461636f, 'OCFS2, a disk shared by machines'],
  [0x5346414f, 'AFS, a network disk'],
  [0x6b414653, 'AFS, a network disk'],
  [0x73757245, 'Coda, a network disk'],
  [0x564c, 'NCP, a network disk']
])

/** Types that Linux gives to file systems of disks that can be pulled out. */
const REMOVABLE_ON_LINUX: ReadonlyMap<number, string> = new Map([
  [0x4d44, 'FAT, a file system of removable media'],
  [0x2011bab0, 'exFAT, a file system of removable media'],
  [0x7366746e, 'NTFS, a file system of removable media'],
  [0x5346544e, 'NTFS, a file system of removable media'],
  [0x9660, 'ISO 9660, a file system of removable media'],
  [0x15013346, 'UDF, a file system of removable media']
])

/**
 * Says why the files in `folder` should not be mapped unless the caller insists; undefined where nothing speaks against
 * it.
 */
export function findMappingRisk(folder: string): string | undefined {
  // The readers for Windows say for themselves what they map.
  if (process.platform === 'win32') return undefined
  try {
    const { type } = statfsSync(folder)
    if (process.platform === 'linux') return riskOnLinux(type)
    return process.platform === 'darwin'
      ? riskOnMacos(type, statfsSync('/').type)
      : `zgq does not know which file systems are safe to map on ${process.platform}`
  } catch {
    return 'the index is on a file system that does not answer statfs'
  }
}

export function riskOnLinux(type: number): string | undefined {
  if (SAFE_ON_LINUX.has(type)) return undefined
  const name =
    SHARED_ON_LINUX.get(type) ??
    REMOVABLE_ON_LINUX.get(type) ??
    `a file system of type 0x${type.toString(16)}, which is not known to be a built-in disk`
  return `the index is on ${name}: a failed read under a mapping would end the process`
}

/**
 * macOS numbers its file systems in the order in which they register, so no number means the same everywhere. But the
 * system volume is APFS on a built-in disk, on every macOS that Node runs on: what has its number is APFS too. (An
 * external APFS disk looks the same.)
 */
export function riskOnMacos(type: number, systemType: number): string | undefined {
  return type === systemType
    ? undefined
    : `the index is on file system ${type}, not on ${systemType} as the system volume is: it may be a network ` +
        'disk or removable, where a failed read under a mapping would end the process'
}

/**
 * Says why an index in `folder` should not be written to unless the caller insists; undefined where nothing is known
 * that speaks against it. macOS and Windows do not say what a disk is; but a path of Windows may name a server.
 */
export function findWritingRisk(folder: string): string | undefined {
  if (process.platform === 'win32')
    return /^[\\/]{2}(?![.?])/.test(resolve(folder)) ? sharedReason('a disk of another machine') : undefined
  try {
    return process.platform === 'linux' ? writingRiskOnLinux(statfsSync(folder).type) : undefined
  } catch {
    return undefined // opening it will say what is wrong
  }
}

export function writingRiskOnLinux(type: number): string | undefined {
  const name = SHARED_ON_LINUX.get(type)
  return name === undefined ? undefined : sharedReason(name)
}

function sharedReason(name: string): string {
  return `the index is on ${name}: SQLite's locks may not keep writers on other machines away, which destroys an index`
}
