// A small disk of its own for a data directory, so that it can be filled.
import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const kBlock = Buffer.alloc(64 << 10, 'h')

/** Mounting takes root; without, these tests are skipped, and say so. */
export function canMount(): boolean {
  const disk = SmallDisk.mount(1)
  if (disk === null) console.log('SKIPPED: a tmpfs cannot be mounted here (that takes root)')
  disk?.unmount()
  return disk !== null
}

export class SmallDisk {
  private constructor(readonly path: string) {}

  static mount(mebibytes: number): SmallDisk | null {
    const path = mkdtempSync(join(tmpdir(), 'ds-disk-'))
    const options = ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path]
    if (spawnSync('mount', options, { stdio: 'ignore' }).status === 0) return new SmallDisk(path)
    rmSync(path, { recursive: true })
    return null
  }

  freeBytes(): number {
    const info = statfsSync(this.path)
    return info.bavail * info.bsize
  }

  /** Somebody else's file that takes all that is free but `keep` bytes; its size. */
  hog(keep = 0): number {
    const file = openSync(join(this.path, 'hog'), 'w')
    let size = 0
    try {
      while (this.freeBytes() > keep) size += writeSync(file, kBlock)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
    if (this.freeBytes() < keep) ftruncateSync(file, Math.max(0, size - keep))
    closeSync(file)
    return size
  }

  freeHog(): void {
    rmSync(join(this.path, 'hog'), { force: true })
  }

  unmount(): void {
    spawnSync('umount', ['-l', this.path], { stdio: 'ignore' })
    rmSync(this.path, { recursive: true, force: true })
  }
}
