// The test's side of fault_shim.cc: what happens at which call of the server.
import { closeSync, existsSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { mkdtempSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { serverBinary } from '../lib/server.ts'

/** Kinds of calls; any number of them, added up. */
export const kCalls = {
  write: 1,
  sync: 2,
  rename: 4,
  unlink: 8,
  create: 16,
  resize: 32,
  mkdir: 64,
  read: 128,
  open: 256,
}
/** All that change something. */
export const kMutating = 127

/** Parts of the data directory; any number of them, added up. */
export const kPlaces = { log: 1, segments: 2, catalog: 4, other: 8 }
export const kEverywhere = 15

export const kDeeds = { nothing: 0, kill: 1, killHalf: 2, fail: 3, half: 4, everyOther: 5 }

const kFields = {
  calls: 0,
  kinds: 8,
  places: 16,
  deed: 24,
  from: 32,
  until: 40,
  error: 48,
  clock: 56,
  threads: 64,
  threadsFrom: 72,
  allocations: 80,
  allocationFrom: 88,
  allocationBytes: 96,
}
const kControlBytes = 104
const kForEver = 2n ** 62n

export interface Fault {
  deed: number
  kinds?: number
  places?: number
  /** The first call that it happens to, of those of these kinds and places; from 1 on. */
  from?: number
  /** To so many of them; all by default. */
  count?: number
  error?: 'EIO' | 'ENOSPC' | 'EMFILE' | 'ENFILE' | 'EINTR' | 'EROFS'
}

export class Shim {
  private readonly directory = mkdtempSync(join(tmpdir(), 'ds-shim-'))
  private readonly file: number
  readonly env: Record<string, string>

  constructor(dataDir: string, trace?: string) {
    const library = join(dirname(serverBinary()), 'fault_shim.so')
    if (!existsSync(library)) throw new Error(`no ${library}: build the target fault_shim`)
    const control = join(this.directory, 'control')
    this.file = openSync(control, 'w+')
    writeSync(this.file, Buffer.alloc(kControlBytes))
    this.env = {
      LD_PRELOAD: library,
      FAULT_SHIM_DIR: dataDir,
      FAULT_SHIM_CONTROL: control,
      ...(trace === undefined ? {} : { FAULT_SHIM_TRACE: trace }),
    }
    this.set({ deed: kDeeds.nothing })
  }

  /** From now on, counted anew. */
  set(fault: Fault): void {
    this.put('deed', 0n)
    const from = BigInt(fault.from ?? 1)
    this.put('kinds', BigInt(fault.kinds ?? kMutating))
    this.put('places', BigInt(fault.places ?? kEverywhere))
    this.put('from', from)
    this.put('until', fault.count === undefined ? kForEver : from + BigInt(fault.count))
    this.put('error', BigInt(constants.errno[fault.error ?? 'EIO']))
    this.put('calls', 0n)
    this.put('deed', BigInt(fault.deed))
  }

  heal(): void {
    this.put('deed', 0n)
  }

  /** Moves the server's wall clock away from the real one. */
  moveClock(seconds: number): void {
    this.put('clock', BigInt(Math.round(seconds * 1e9)))
  }

  /** Threads are refused from this one on, counted from the start of the process; 0: none. */
  refuseThreads(from: number): void {
    this.put('threads', 0n)
    this.put('threadsFrom', BigInt(from))
  }

  /** A few allocations of at least so many bytes are refused, from this one on, counted from now. */
  refuseMemory(from: number, bytes: number): void {
    this.put('allocationBytes', BigInt(bytes))
    this.put('allocations', 0n)
    this.put('allocationFrom', BigInt(from))
  }

  calls(): number {
    return this.get('calls')
  }

  threads(): number {
    return this.get('threads')
  }

  allocations(): number {
    return this.get('allocations')
  }

  /** Waits until nothing has been counted for so long; the number by then. */
  async quiet(ms: number, longestMs = 30_000): Promise<number> {
    let seen = this.calls()
    let since = Date.now()
    for (const end = since + longestMs; Date.now() < end; await sleep(10)) {
      const now = this.calls()
      if (now === seen) {
        if (Date.now() - since >= ms) return now
        continue
      }
      seen = now
      since = Date.now()
    }
    return seen
  }

  close(): void {
    closeSync(this.file)
    rmSync(this.directory, { recursive: true, force: true })
  }

  private get(field: keyof typeof kFields): number {
    const bytes = Buffer.alloc(8)
    readSync(this.file, bytes, 0, 8, kFields[field])
    return Number(bytes.readBigUInt64LE())
  }

  private put(field: keyof typeof kFields, value: bigint): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    writeSync(this.file, bytes, 0, 8, kFields[field])
  }
}
