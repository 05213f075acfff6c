// History in R2: the object's rows stay few, and what is read of a segment is the ranges needed.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { Runtime } from '../lib/runtime.ts'

const kText = { 'Content-Type': 'text/plain' }
const kMessageBytes = 1000
const kMessages = 400
const kChunkBytes = 20_000

let runtime: Runtime
let directory: string | undefined
afterEach(async () => {
  await runtime.stop()
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  directory = undefined
})

const message = (i: number): string => `${i};`.padEnd(kMessageBytes, '.')

test('history is sealed to R2, and read from there by ranges, over a restart as well', async () => {
  directory = mkdtempSync(join(tmpdir(), 'ds-worker-'))
  const options = {
    counted: true,
    bucket: true,
    persist: directory,
    settings: {
      CHECKPOINT_OPS: '20',
      SEAL_BYTES: '100000',
      MAX_CHUNK_BYTES: String(kChunkBytes),
    },
  }
  runtime = await Runtime.start(options)
  const url = (): string => runtime.url('history')
  await fetch(url(), { method: 'PUT', headers: kText })
  const offsets: string[] = []
  let expected = ''
  for (let i = 0; i < kMessages; ++i) {
    const answer = await fetch(url(), { method: 'POST', headers: kText, body: message(i) })
    expect(answer.status).toBe(204)
    offsets.push(answer.headers.get('stream-next-offset') ?? '')
    expected += message(i)
  }
  expect((await runtime.counters()).objectsPut).toBeGreaterThanOrEqual(3)
  await runtime.stop()
  runtime = await Runtime.start(options)

  let read = ''
  let offset = offsets[0]!
  const all = await runtime.counted(async () => {
    for (;;) {
      const answer = await fetch(`${url()}?offset=${offset}`)
      expect(answer.status).toBe(200)
      read += await answer.text()
      if (answer.headers.has('stream-up-to-date')) break
      offset = answer.headers.get('stream-next-offset') ?? ''
    }
  })
  expect(read).toBe(expected.slice(kMessageBytes))
  expect(all.objectsGot).toBeGreaterThan(3)
  // What is left of the rows is less than twice what is sealed at once.
  expect(all.rowsRead).toBeLessThan(kMessages)

  // One chunk from the middle costs that chunk's blocks and the lists, not the segment.
  await runtime.abort('history')
  const one = await runtime.counted(async () => {
    const answer = await fetch(`${url()}?offset=${offsets[150]!}&cursor=1`)
    expect(await answer.text()).toContain(message(151))
  })
  expect(one.objectsGot).toBe(2)
  expect(one.objectBytesGot).toBeLessThan(80_000)
})

test('a stream that is deleted takes its objects in R2 along', async () => {
  runtime = await Runtime.start({
    counted: true,
    bucket: true,
    settings: { CHECKPOINT_OPS: '20', SEAL_BYTES: '10000', RETRY_AFTER_MS: '200' },
  })
  const url = runtime.url('gone')
  await fetch(url, { method: 'PUT', headers: kText })
  for (let i = 0; i < 100; ++i) {
    await fetch(url, { method: 'POST', headers: kText, body: message(i) })
  }
  const bucket = await runtime.miniflare.getR2Bucket('SEGMENTS')
  expect((await bucket.list()).objects.length).toBeGreaterThan(0)
  expect((await fetch(url, { method: 'DELETE' })).status).toBe(204)
  await expect.poll(async () => (await bucket.list()).objects.length, { timeout: 20_000 }).toBe(0)
})
