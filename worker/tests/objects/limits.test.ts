// The platform's limits: 2 MB a row, 10 GB an object, 128 MB for all objects of an isolate.
import { afterEach, expect, test } from 'vitest'
import { Runtime } from '../lib/runtime.ts'

const kBytes = { 'Content-Type': 'application/octet-stream' }
const kMiB = 1 << 20

let runtime: Runtime
afterEach(() => runtime.stop())

async function create(name: string): Promise<string> {
  const url = runtime.url(name)
  expect((await fetch(url, { method: 'PUT', headers: kBytes })).status).toBe(201)
  return url
}

async function append(url: string, body: Uint8Array<ArrayBuffer>): Promise<Response> {
  const answer = await fetch(url, { method: 'POST', headers: kBytes, body })
  await answer.arrayBuffer()
  return answer
}

function pattern(size: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; ++i) bytes[i] = (i * 31 + (i >> 8) + seed) & 255
  return bytes
}

/** All of a stream, chunk after chunk. */
async function readAll(url: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let offset = '-1'
  for (;;) {
    const answer = await fetch(`${url}?offset=${offset}`)
    expect(answer.status).toBe(200)
    pieces.push(new Uint8Array(await answer.arrayBuffer()))
    if (answer.headers.has('stream-up-to-date')) return Buffer.concat(pieces)
    offset = answer.headers.get('stream-next-offset') ?? ''
  }
}

test('a body over 2 MB is several rows, read back whole by an object that is made again', async () => {
  runtime = await Runtime.start({ counted: true })
  const url = await create('large')
  const bodies = [pattern(5 * kMiB, 1), pattern(10, 2), pattern(16 * kMiB, 3)]
  for (const body of bodies) {
    const counted = await runtime.counted(async () => {
      expect((await append(url, body)).status).toBe(204)
    })
    // Beside the log's rows a checkpoint's two and, once, where history begins.
    expect(counted.rowsWritten).toBeLessThanOrEqual(Math.ceil(body.length / 1_900_000) + 1 + 3)
  }
  expect((await runtime.counters()).rowBytesMax).toBeLessThan(2_000_000)
  await runtime.abort('large')
  expect(Buffer.concat(bodies).equals(await readAll(url))).toBe(true)
})

test('a body over the limit is refused and stores nothing', async () => {
  runtime = await Runtime.start({ counted: true, settings: { MAX_BODY_BYTES: '1000' } })
  const url = await create('bounded')
  const counted = await runtime.counted(async () => {
    expect((await append(url, pattern(1001, 1))).status).toBe(413)
  })
  expect(counted.rowsWritten).toBe(0)
  expect((await append(url, pattern(1000, 1))).status).toBe(204)
})

test('past its quota an object takes only what gives room: 507 otherwise', async () => {
  runtime = await Runtime.start({
    counted: true,
    settings: { STORAGE_BYTES_MAX: String(3 * kMiB) },
  })
  const url = await create('full')
  let stored = 0
  let refused: Response | undefined
  for (let i = 0; i < 20 && refused === undefined; ++i) {
    const answer = await append(url, pattern(kMiB / 2, i))
    if (answer.status === 507) refused = answer
    else expect(answer.status).toBe(204)
    if (refused === undefined) stored += kMiB / 2
  }
  expect(refused?.headers.has('retry-after')).toBe(true)
  expect(stored).toBeGreaterThan(2 * kMiB)
  expect(stored).toBeLessThan(4 * kMiB)
  await runtime.abort('full')
  expect((await append(url, pattern(10, 1))).status).toBe(507)
  expect((await readAll(url)).length).toBe(stored)
  const closed = await fetch(url, { method: 'POST', headers: { 'Stream-Closed': 'true' } })
  expect(closed.status).toBe(204)
  expect((await fetch(url, { method: 'DELETE' })).status).toBe(204)
  await create('full')
  expect((await append(url, pattern(10, 1))).status).toBe(204)
})

test('an idle object holds less than a megabyte, and gives back what large bodies took', async () => {
  runtime = await Runtime.start({ counted: true })
  const objects = 20
  const urls: string[] = []
  for (let i = 0; i < objects; ++i) {
    urls.push(await create(`small-${i}`))
    expect((await append(urls[i]!, pattern(100, i))).status).toBe(204)
  }
  const small = (await runtime.counters()).wasmBytes
  console.log(`${small / objects} bytes per idle object`)
  expect(small / objects).toBeLessThan(kMiB)
  // More than what the isolate has, one after the other, if what was taken were kept.
  for (const url of urls.slice(0, 4)) {
    expect((await append(url, pattern(16 * kMiB, 7))).status).toBe(204)
    expect((await runtime.counters()).wasmBytes / kMiB).toBeLessThan(128)
  }
  for (const url of urls.slice(0, 4)) {
    const read = await readAll(url)
    expect(read.length).toBe(16 * kMiB + 100)
    expect((await runtime.counters()).wasmBytes / kMiB).toBeLessThan(128)
  }
})
