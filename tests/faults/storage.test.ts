// Disks that fail while the server runs, and damage that it finds: nothing wrong is ever answered,
// what can be answered is, and when the cause is gone so is the effect.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { within } from '../lib/fixture.ts'
import { errorCode, get, kText, post, producer, put, readAll, type Answer } from '../lib/http.ts'
import { Server } from '../lib/server.ts'
import { crc32c, invert, placeOf, sizeOf } from './damage.ts'
import { check } from './observe.ts'
import { kCalls, kDeeds, kPlaces, Shim, type Fault } from './shim.ts'

const kSealing = ['--generation-size', '64KiB', '--seal-after', '100ms', '--evict-after', '0s']
const kStreams = 8
const kMergedTogether = 8 // store/sealer.h, merge_fan_in

let dataDir: string
let shim: Shim
let server: Server
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'ds-storage-'))
  shim = new Shim(dataDir)
  server = await Server.prepare({ dataDir, args: kSealing, env: shim.env })
})
afterEach(async () => {
  await server.kill()
  shim.close()
  rmSync(dataDir, { recursive: true, force: true })
})

async function metric(name: string): Promise<number> {
  const text = (await get(`${server.origin}/metrics`)).text
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

async function until(what: () => Promise<boolean> | boolean, text: string): Promise<void> {
  const looking = async (): Promise<void> => {
    while (!(await what())) await sleep(20)
  }
  await within(20_000, text, looking())
}

/** One of several producers on streams of their own, until it is told to stop. */
class Writer {
  answered = 0
  refused = new Set<string>()
  private stopping = false
  private readonly running: Promise<void>

  constructor(private readonly name: string) {
    this.running = this.run()
    this.running.catch(() => {})
  }

  async stop(): Promise<void> {
    this.stopping = true
    await this.running
  }

  text(): string {
    return Array.from({ length: this.answered }, (_, i) => `<${this.name}:${i}>`).join('')
  }

  private async run(): Promise<void> {
    const url = server.url(this.name)
    while (!this.stopping) {
      const headers = { ...kText, ...producer('p', 0, this.answered) }
      const answer = await post(url, `<${this.name}:${this.answered}>`, headers)
      if (answer.status < 300) ++this.answered
      else if (answer.status === 503 || answer.status === 507) {
        this.refused.add(errorCode(answer))
        await sleep(20)
      } else throw new Error(`${answer.status}: ${answer.text}`)
    }
  }
}

async function withWriters(during: (writers: Writer[]) => Promise<void>): Promise<Writer[]> {
  server.launch()
  await server.ready()
  const names = Array.from({ length: kStreams }, (_, i) => `s${i}`)
  for (const name of names) expect((await put(server.url(name), kText)).status).toBe(201)
  const writers = names.map((name) => new Writer(name))
  const all = (): number => writers.reduce((sum, writer) => sum + writer.answered, 0)
  await until(() => all() > 100, 'appends at first')
  await during(writers)
  const before = all()
  await until(() => all() > before + 100, 'appends again')
  for (const writer of writers) await writer.stop()
  await verify(writers)
  server.env = {}
  await server.kill()
  await server.restart()
  await verify(writers)
  return writers
}

async function verify(writers: Writer[]): Promise<void> {
  for (const [i, writer] of writers.entries()) {
    const whole = await readAll(server.url(`s${i}`))
    expect(whole.bytes.toString()).toBe(writer.text())
  }
}

test.each([1, 3])('an fsync of the log that fails, %i in a row', async (count) => {
  await withWriters(async () => {
    shim.set({
      deed: kDeeds.fail,
      kinds: kCalls.sync,
      places: kPlaces.log,
      from: 5,
      count,
    })
    await until(() => shim.calls() > 5 + count, 'the faults')
    await until(() => server.stderr.includes('the op log works again'), 'recovery')
  })
})

test('a log that can be neither written nor synced for two seconds', async () => {
  const writers = await withWriters(async (running) => {
    shim.set({ deed: kDeeds.fail, kinds: kCalls.write | kCalls.sync, places: kPlaces.log })
    await until(async () => (await get(`${server.origin}/ready`)).status === 503, '/ready: 503')
    const stuck = running.reduce((sum, writer) => sum + writer.answered, 0)
    // Readers are not concerned.
    for (let i = 0; i < 20; ++i) {
      expect((await get(server.url(`s${i % kStreams}`))).status).toBe(200)
      await sleep(100)
    }
    expect(running.reduce((sum, writer) => sum + writer.answered, 0)).toBe(stuck)
    expect(await metric('ds_log_healthy')).toBe(0)
    shim.heal()
    await until(async () => (await get(`${server.origin}/ready`)).status === 200, '/ready: 200')
  })
  for (const writer of writers) {
    for (const code of writer.refused) expect(['storage_failed', 'overloaded']).toContain(code)
  }
})

test('segments and a catalog that cannot be written for three seconds', async () => {
  await withWriters(async (running) => {
    shim.set({ deed: kDeeds.fail, places: kPlaces.segments | kPlaces.catalog })
    await until(() => server.stderr.includes('cannot seal'), 'a sealing that fails')
    const before = running.reduce((sum, writer) => sum + writer.answered, 0)
    await sleep(3000)
    // Nobody who appends notices.
    expect(running.reduce((sum, writer) => sum + writer.answered, 0)).toBeGreaterThan(before)
    expect(running.map((writer) => writer.refused.size)).toEqual(running.map(() => 0))
    const sealed = await metric('ds_sealed_generations_total')
    shim.heal()
    await until(async () => (await metric('ds_sealed_generations_total')) > sealed, 'sealing')
  })
})

test('segments are merged while a generation cannot be read, and so not sealed', async () => {
  // As many segments as are merged into one, and none after them.
  const noMore = { kinds: kCalls.create, places: kPlaces.segments, from: kMergedTogether + 1 }
  shim.set({ deed: kDeeds.fail, ...noMore })
  await withWriters(async () => {
    // Neither failure hides the other.
    await until(() => server.stderr.includes('cannot merge segments'), 'a merge that fails')
    await until(() => server.stderr.includes('cannot seal'), 'a sealing that fails')
    expect(await metric('ds_segments')).toBe(kMergedTogether)
    expect(await metric('ds_segment_merges_total')).toBe(0)
    const sealed = await metric('ds_sealed_generations_total')
    shim.set({ deed: kDeeds.fail, kinds: kCalls.read, places: kPlaces.log })
    await until(async () => (await metric('ds_segment_merges_total')) > 0, 'merging')
    // One may begin while the shim changes its mind.
    expect(await metric('ds_sealed_generations_total')).toBeLessThanOrEqual(sealed + 1)
    shim.heal()
    await until(async () => (await metric('ds_sealed_generations_total')) > sealed + 1, 'sealing')
  })
})

// These are no errors, and nobody notices.
const kInterruptible = kCalls.read | kCalls.write | kCalls.open | kCalls.create | kCalls.resize
const kUnfinished: [string, Fault][] = [
  ['done in part', { deed: kDeeds.half, kinds: kCalls.read | kCalls.write }],
  ['interrupted', { deed: kDeeds.everyOther, error: 'EINTR', kinds: kInterruptible }],
]
test.each(kUnfinished)('calls that are %s are gone on with', async (_, fault) => {
  const writers = await withWriters(async (running) => {
    shim.set(fault)
    const sealed = await metric('ds_sealed_generations_total')
    await until(async () => (await metric('ds_sealed_generations_total')) > sealed + 2, 'sealing')
    for (const i of running.keys()) expect((await get(server.url(`s${i}`))).status).toBe(200)
  })
  expect(writers.map((writer) => [...writer.refused])).toEqual(writers.map(() => []))
  await server.kill()
  server.env = shim.env
  shim.set(fault)
  await server.restart()
  await verify(writers)
  expect(shim.calls()).toBeGreaterThan(20)
})

const kNoDescriptors = ['EMFILE', 'ENFILE'] as const
test.each(kNoDescriptors)('%s: reads wait for better times, appends go on', async (error) => {
  await withWriters(async () => {
    shim.set({ deed: kDeeds.fail, kinds: kCalls.create | kCalls.open, error })
    await sleep(2000)
    for (let i = 0; i < kStreams; ++i) {
      const answer = await get(server.url(`s${i}`))
      expect([200, 503]).toContain(answer.status)
    }
    shim.heal()
  })
})

// --- What is read ---------------------------------------------------------------------------------

const kMarks = ['first', 'second', 'third', 'fourth']

/** Streams that are in segments and nowhere else, and a server that has them not in memory. */
async function sealedStreams(): Promise<void> {
  server.launch()
  await server.ready()
  for (const name of kMarks) {
    const body = `[begin ${name}]${name.repeat(2000)}[end ${name}]`
    expect((await put(server.url(name), kText, body)).status).toBe(201)
    // Each in a generation, and so a segment, of its own.
    const sealed = await metric('ds_sealed_generations_total')
    await until(async () => (await metric('ds_sealed_generations_total')) > sealed, 'sealing')
  }
  await until(async () => (await metric('ds_streams_in_memory')) === 0, 'eviction')
  expect(await server.terminate()).toBe(0)
}

function expectWhole(answer: Answer, name: string): void {
  expect(answer.status, name).toBe(200)
  expect(answer.text).toBe(`[begin ${name}]${name.repeat(2000)}[end ${name}]`)
}

function segments(): string[] {
  return readdirSync(join(dataDir, 'segments')).map((name) => join(dataDir, 'segments', name))
}

test('reads that fail are refused, and answered once they do not', async () => {
  await sealedStreams()
  server.launch()
  await server.ready()
  shim.set({ deed: kDeeds.fail, kinds: kCalls.read, places: kPlaces.segments })
  for (const name of kMarks) {
    const answer = await get(server.url(name))
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
  }
  expect((await put(server.url('new'), kText, 'x')).status).toBe(201)
  shim.heal()
  for (const name of kMarks) expectWhole(await get(server.url(name)), name)
})

test('a damaged byte of a segment: that stream is an error, the others are not', async () => {
  await sealedStreams()
  const damaged = segments().find((path) => readFileSync(path).includes('[end second]')) as string
  invert(damaged, placeOf(damaged, '[end second]'))
  await server.restart()
  const answer = await get(server.url('second'))
  expect(answer.status).toBe(500)
  expect(errorCode(answer)).toBe('corrupt_data')
  for (const name of ['first', 'third', 'fourth']) expectWhole(await get(server.url(name)), name)
  expect((await post(server.url('second'), 'more')).status).toBe(204)
  await until(() => /error .*\.seg/.test(server.stderr), 'the log names the segment')
  await server.kill()
  expect(await check(dataDir)).toContain('.seg')
})

test('a segment of a newer version is named as such', async () => {
  await sealedStreams()
  expect(await check(dataDir)).toBe('')
  const path = segments()[0] as string
  const bytes = readFileSync(path)
  const trailer = bytes.subarray(bytes.length - 64)
  expect(trailer.subarray(0, 8).toString()).toBe('ds-segmt')
  const rest = (): Buffer => Buffer.concat([trailer.subarray(0, 12), trailer.subarray(16)])
  expect(crc32c(rest()), 'the checksum as it is documented').toBe(trailer.readUInt32LE(12))
  trailer.writeUInt32LE(trailer.readUInt32LE(8) + 1, 8)
  trailer.writeUInt32LE(crc32c(rest()), 12)
  writeFileSync(path, bytes)
  expect(await check(dataDir)).toContain('is a segment of version 2, this program knows version 1')
})

test('a segment that is missing, or cut off: the same', async () => {
  await sealedStreams()
  const holding = (text: string): string =>
    segments().find((path) => readFileSync(path).includes(text)) as string
  const missing = holding('[end first]')
  cpSync(missing, join(dataDir, 'aside'))
  rmSync(missing)
  await server.restart()
  expect((await get(server.url('first'))).status).toBe(500)
  expectWhole(await get(server.url('third')), 'third')
  await until(() => server.stderr.includes('a segment is missing'), 'the log says so')
  await server.kill()
  // It is back: all is well.
  cpSync(join(dataDir, 'aside'), missing)
  await server.restart()
  expectWhole(await get(server.url('first')), 'first')
})

test('damaged pages of the catalog: no start, or an error; never another stream', async () => {
  await sealedStreams()
  const catalog = join(dataDir, 'catalog.db')
  const kPage = 4096
  const whole = join(dataDir, 'aside')
  cpSync(catalog, whole)
  const pages = sizeOf(catalog) / kPage
  for (let page = 0; page < pages; ++page) {
    cpSync(whole, catalog)
    for (const side of ['-wal', '-shm']) rmSync(catalog + side, { force: true })
    invert(catalog, page * kPage + (page === 0 ? 100 : 0), kPage - 100)
    server.stderr = ''
    server.launch()
    const up = await server.ready().then(
      () => true,
      () => false,
    )
    if (up) {
      for (const name of kMarks) {
        const answer = await get(server.url(name))
        if (answer.status === 200) expectWhole(answer, name)
        else expect(answer.status, `${name}, page ${page}`).toBeGreaterThanOrEqual(500)
      }
    } else {
      expect(await server.ended()).toBe(1)
      expect(server.stderr).toContain('catalog')
    }
    await server.kill()
    expect(await check(dataDir)).toContain('catalog')
  }
  cpSync(whole, catalog)
  for (const side of ['-wal', '-shm']) rmSync(catalog + side, { force: true })
  await server.restart()
  for (const name of kMarks) expectWhole(await get(server.url(name)), name)
})

test('a damaged record in the middle of the log: no start. A torn end: cut off', async () => {
  const args = ['--seal-after', '1h']
  server = await Server.prepare({ dataDir, args })
  server.launch()
  await server.ready()
  for (const name of kMarks) {
    expect((await put(server.url(name), kText, `[${name}]`)).status).toBe(201)
  }
  await server.kill()
  const log = join(dataDir, 'log', '00000001.log')
  const middle = placeOf(log, '[second]')
  invert(log, middle)
  server.launch()
  await server.ready().catch(() => {})
  expect(await server.ended()).toBe(1)
  expect(server.stderr).toMatch(/00000001\.log/)
  invert(log, middle)
  // The last frame was answered; without it the log just ends earlier, as if it had been torn.
  invert(log, placeOf(log, '[fourth]'))
  server.stderr = ''
  server.launch()
  const up = await server.ready().then(
    () => true,
    () => false,
  )
  if (up) {
    expect((await get(server.url('third'))).text).toBe('[third]')
    expect((await get(server.url('fourth'))).status).toBe(404)
    await until(() => /torn_bytes=[1-9]/.test(server.stderr), 'the log says what was cut off')
  } else {
    expect(server.stderr).toMatch(/00000001\.log/)
  }
})
