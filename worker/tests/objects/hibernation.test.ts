// Idle SSE readers let their stream's object go: it is evicted, made again by the next write, and
// every reader gets every event once. Its wakes are counted.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { Runtime } from '../lib/runtime.ts'
import { EventReader } from '../lib/sse.ts'

const kReaders = 100
// Workerd evicts an object that has been idle for about 10 s; a busy machine takes longer.
const kEvictedMs = 25_000
const kText = { 'Content-Type': 'text/plain' }

let runtime: Runtime
let directory: string | undefined
afterEach(async () => {
  await runtime.stop()
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  directory = undefined
})

async function append(url: string, body: string): Promise<void> {
  const answer = await fetch(url, { method: 'POST', headers: kText, body })
  expect(answer.status).toBe(204)
  await answer.arrayBuffer()
}

/** As many readers as there are, each told that it is up to date. One after the other: workerd keeps
 *  an object in memory whose connections were opened at the very same moment. */
async function openAll(url: string, offset: string | string[]): Promise<EventReader[]> {
  const readers: EventReader[] = []
  for (let i = 0; i < kReaders; ++i) {
    const from = typeof offset === 'string' ? offset : offset[i]!
    readers.push(await EventReader.open(`${url}?offset=${from}&live=sse`))
    await readers[i]!.until((text) => text.includes('upToDate'))
  }
  return readers
}

test('100 idle readers: the object is evicted, and nobody loses or doubles an event', async () => {
  runtime = await Runtime.start({ counted: true })
  const url = runtime.url('idle')
  await fetch(url, { method: 'PUT', headers: kText })
  const readers = await openAll(url, '-1')
  expect((await runtime.counters()).wakes).toBe(1)
  for (let round = 1; round <= 2; ++round) {
    await sleep(kEvictedMs)
    await append(url, `round ${round};`)
    await Promise.all(readers.map((one) => one.until((text) => text.includes(`round ${round};`))))
    expect((await runtime.counters()).wakes).toBe(1 + round)
  }
  await append(url, 'last;')
  await Promise.all(readers.map((one) => one.until((text) => text.includes('last;'))))
  for (const reader of readers) {
    for (const part of ['round 1;', 'round 2;', 'last;']) expect(reader.count(part)).toBe(1)
    expect(reader.ended).toBe(false)
  }
  await Promise.all(readers.map((one) => one.close()))
})

// Minutes that the object must not be woken in, with --long; without, the test above has to do.
const kLongMinutes = 10
test.runIf(process.env.DS_TEST_LONG === '1')(
  '100 idle readers wake the object at most once in ten minutes',
  { timeout: (kLongMinutes + 2) * 60_000 },
  async () => {
    runtime = await Runtime.start({ counted: true })
    const url = runtime.url('idle')
    await fetch(url, { method: 'PUT', headers: kText })
    const readers = await openAll(url, '-1')
    const counted = await runtime.counted(() => sleep(kLongMinutes * 60_000))
    console.log(`in ${kLongMinutes} minutes: ${JSON.stringify(counted)}`)
    expect(counted.wakes).toBeLessThanOrEqual(1)
    expect(counted).toMatchObject({ objectRequests: 0, socketMessages: 0, rowsWritten: 0 })
    await append(url, 'last;')
    await Promise.all(readers.map((one) => one.until((text) => text.includes('last;'))))
    for (const reader of readers) expect(reader.count('last;')).toBe(1)
    await Promise.all(readers.map((one) => one.close()))
  },
)

test('when the object fails its readers go on, and nobody loses or doubles an event', async () => {
  runtime = await Runtime.start({ counted: true })
  const url = runtime.url('fails')
  await fetch(url, { method: 'PUT', headers: kText })
  const readers = await openAll(url, '-1')
  for (let round = 1; round <= 5; ++round) {
    await append(url, `before ${round};`)
    await runtime.abort('fails')
    await append(url, `after ${round};`)
  }
  await Promise.all(readers.map((one) => one.until((text) => text.includes('after 5;'))))
  for (const reader of readers) {
    for (let round = 1; round <= 5; ++round) {
      expect(reader.count(`before ${round};`)).toBe(1)
      expect(reader.count(`after ${round};`)).toBe(1)
    }
  }
  await Promise.all(readers.map((one) => one.close()))
})

test('after a restart of the runtime 100 readers go on at their last offsets', async () => {
  directory = mkdtempSync(join(tmpdir(), 'ds-worker-'))
  runtime = await Runtime.start({ persist: directory })
  await fetch(runtime.url('kept'), { method: 'PUT', headers: kText })
  await append(runtime.url('kept'), 'before;')
  const first = await openAll(runtime.url('kept'), '-1')
  const offsets = first.map((one) => one.lastOffset())
  await runtime.stop()
  runtime = await Runtime.start({ persist: directory })
  const again = await openAll(runtime.url('kept'), offsets)
  await append(runtime.url('kept'), 'after;')
  await Promise.all(again.map((one) => one.until((text) => text.includes('after;'))))
  for (const reader of again) {
    expect(reader.count('before;')).toBe(0)
    expect(reader.count('after;')).toBe(1)
  }
  const all = await fetch(runtime.url('kept'))
  expect(await all.text()).toBe('before;after;')
  await Promise.all(again.map((one) => one.close()))
})
