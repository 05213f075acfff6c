// Data directories that a server must not start with, and says why; and those left by a start that
// went wrong, with which it must.
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { get, kText, post, put } from '../lib/http.ts'
import { Server } from '../lib/server.ts'
import { crc32c } from './damage.ts'
import { canMount, SmallDisk } from './disk.ts'
import { kCalls, kDeeds, Shim } from './shim.ts'

const kArgs = ['--generation-size', '64KiB', '--seal-after', '100ms', '--evict-after', '0s']

let parent: string
let dataDir: string
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'ds-start-'))
  dataDir = join(parent, 'data')
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

/** Launches a server that is to refuse; its standard error. */
async function refusal(env: Record<string, string> = {}, dir = dataDir): Promise<string> {
  const server = await Server.prepare({ dataDir: dir, args: kArgs, env })
  server.launch()
  try {
    await server.ready().catch(() => {})
    expect(server.running, 'it must not start').toBe(false)
    expect(await server.ended()).toBe(1)
  } finally {
    await server.kill()
  }
  return server.stderr
}

/** A directory with a stream in it, from a server that stopped in order. */
async function written(dir = dataDir): Promise<void> {
  const server = await Server.start({ dataDir: dir, args: kArgs })
  expect((await put(server.url('kept'), kText, 'what was stored')).status).toBe(201)
  expect(await server.terminate()).toBe(0)
}

async function startsWithAllOfIt(dir = dataDir): Promise<void> {
  const server = await Server.start({ dataDir: dir, args: kArgs })
  try {
    expect((await get(server.url('kept'))).text).toBe('what was stored')
    expect((await post(server.url('kept'), 'more')).status).toBe(204)
  } finally {
    await server.kill()
  }
}

test('a directory that another server has: refused, and the other goes on', async () => {
  const first = await Server.start({ dataDir, args: kArgs })
  try {
    expect((await put(first.url('a'), kText, 'x')).status).toBe(201)
    expect(await refusal()).toContain('another server has it')
    expect((await post(first.url('a'), 'y')).status).toBe(204)
    expect((await get(first.url('a'))).text).toBe('xy')
  } finally {
    await first.kill()
  }
})

test.skipIf(!canMount())('a disk that is mounted read-only: refused, until it is not', async () => {
  const disk = SmallDisk.mount(64)
  if (disk === null) throw new Error('no disk')
  const dir = join(disk.path, 'data')
  const remount = (how: string): void => {
    expect(spawnSync('mount', ['-o', `remount,${how}`, disk.path]).status).toBe(0)
  }
  try {
    await written(dir)
    remount('ro')
    expect(await refusal({}, dir)).toContain('permission denied')
    remount('rw')
    await startsWithAllOfIt(dir)
  } finally {
    disk.unmount()
  }
})

test('files that cannot be created: refused, until they can', async () => {
  await written()
  const shim = new Shim(dataDir)
  shim.set({ deed: kDeeds.fail, kinds: kCalls.create, error: 'EROFS' })
  expect(await refusal(shim.env)).toMatch(/cannot|unable/)
  shim.close()
  await startsWithAllOfIt()
})

test('a log of a newer version: refused as such, not as damage', async () => {
  await written()
  const log = readdirSync(join(dataDir, 'log')).filter((file) => file.endsWith('.log'))
  const file = openSync(join(dataDir, 'log', log.sort()[0] as string), 'r+')
  const header = Buffer.alloc(64)
  readSync(file, header, 0, 64, 0)
  expect(header.subarray(0, 8).toString()).toBe('ds-oplog')
  const rest = (): Buffer => Buffer.concat([header.subarray(0, 12), header.subarray(16)])
  expect(crc32c(rest()), 'the checksum as it is documented').toBe(header.readUInt32LE(12))
  const version = header.readUInt32LE(8)
  const put = (value: number): void => {
    header.writeUInt32LE(value, 8)
    header.writeUInt32LE(crc32c(rest()), 12)
    writeSync(file, header, 0, 64, 0)
  }
  put(version + 1)
  expect(await refusal()).toContain('another version of this program')
  put(version)
  closeSync(file)
  await startsWithAllOfIt()
})

test('a catalog of a newer version: refused as such', async () => {
  await written()
  // SQLite's user_version; the catalog has no write-ahead log after a stop in order.
  const file = openSync(join(dataDir, 'catalog.db'), 'r+')
  const bytes = Buffer.alloc(4)
  readSync(file, bytes, 0, 4, 60)
  const version = bytes.readUInt32BE()
  const put = (value: number): void => {
    bytes.writeUInt32BE(value)
    writeSync(file, bytes, 0, 4, 60)
  }
  put(version + 1)
  expect(await refusal()).toContain('another version of this program')
  put(version)
  closeSync(file)
  await startsWithAllOfIt()
})

test('a log that is not there, as when a disk is not mounted: refused, nothing is made anew', async () => {
  const server = await Server.start({ dataDir, args: kArgs })
  expect((await put(server.url('kept'), kText, 'what was stored')).status).toBe(201)
  // So that the catalog knows of it.
  for (let sealed = 0; sealed < 1; ) {
    const text = (await get(`${server.origin}/metrics`)).text
    sealed = Number(/^ds_sealed_generations_total (\d+)/m.exec(text)?.[1])
  }
  expect(await server.terminate()).toBe(0)
  renameSync(join(dataDir, 'log'), join(parent, 'elsewhere'))
  expect(await refusal()).toContain('is missing')
  rmSync(join(dataDir, 'log'), { recursive: true, force: true })
  renameSync(join(parent, 'elsewhere'), join(dataDir, 'log'))
  await startsWithAllOfIt()
})

test("somebody else's files in the log: refused, and they stay", async () => {
  mkdirSync(join(dataDir, 'log'), { recursive: true })
  writeFileSync(join(dataDir, 'log', 'photo.jpg'), 'a photo')
  expect(await refusal()).toContain('photo.jpg does not belong to a log')
  expect(readdirSync(join(dataDir, 'log'))).toContain('photo.jpg')
})

test('what an interrupted first start leaves is no obstacle', async () => {
  mkdirSync(join(dataDir, 'log'), { recursive: true })
  writeFileSync(join(dataDir, 'catalog.db'), '')
  writeFileSync(join(dataDir, 'log', 'unfinished.tmp'), Buffer.alloc(1000))
  writeFileSync(join(dataDir, 'log', '00000001.log'), Buffer.alloc(64 << 10))
  writeFileSync(join(dataDir, 'ballast'), 'x')
  await written()
  await startsWithAllOfIt()
})
