// What Cloudflare bills, counted: docs/cloudflare.md's cost model is made of these numbers.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Runtime } from '../lib/runtime.ts'
import { EventReader } from '../lib/sse.ts'

const kText = { 'Content-Type': 'text/plain' }
// The default CHECKPOINT_OPS.
const kCheckpointOps = 256

let runtime: Runtime
beforeAll(async () => {
  runtime = await Runtime.start({ counted: true })
})
afterAll(() => runtime.stop())

async function create(name: string, headers: Record<string, string> = {}): Promise<string> {
  const url = runtime.url(name)
  const answer = await fetch(url, { method: 'PUT', headers: { ...kText, ...headers } })
  expect(answer.status).toBe(201)
  return url
}

async function append(url: string, body = 'x'): Promise<string> {
  const answer = await fetch(url, { method: 'POST', headers: kText, body })
  expect(answer.status).toBe(204)
  return answer.headers.get('stream-next-offset') ?? ''
}

test('an append is one request of the worker, one of the object and one row', async () => {
  const url = await create('appends')
  const counted = await runtime.counted(async () => {
    for (let i = 0; i < 10; ++i) await append(url)
  })
  expect(counted).toMatchObject({ workerRequests: 10, objectRequests: 10, rowsWritten: 10 })
  expect(counted).toMatchObject({ alarms: 0, alarmsSet: 0, wakes: 0, objectCalls: 0 })
})

test('a checkpoint adds two rows every 256 ops', async () => {
  const url = await create('checkpoints')
  const counted = await runtime.counted(async () => {
    for (let i = 0; i < 2 * kCheckpointOps; ++i) await append(url)
  })
  // And once the place where history begins.
  expect(counted.rowsWritten).toBe(2 * kCheckpointOps + 2 * 2 + 1)
})

test('a create writes one row, and with a lifetime one alarm', async () => {
  expect((await runtime.counted(() => create('plain').then(() => {}))).rowsWritten).toBe(1)
  const counted = await runtime.counted(() =>
    create('mortal', { 'Stream-TTL': '3600' }).then(() => {}),
  )
  expect(counted).toMatchObject({ rowsWritten: 1, alarmsSet: 1 })
})

test('appends to a stream with a sliding lifetime set no further alarm', async () => {
  const url = await create('sliding', { 'Stream-TTL': '3600' })
  const counted = await runtime.counted(async () => {
    for (let i = 0; i < 20; ++i) await append(url)
  })
  expect(counted).toMatchObject({ rowsWritten: 20, alarmsSet: 0 })
})

test('an SSE reader is one request, and nothing more for as long as it is idle or live', async () => {
  const url = await create('events')
  let reader: EventReader | undefined
  const opened = await runtime.counted(async () => {
    reader = await EventReader.open(`${url}?offset=-1&live=sse`)
    await reader.until((text) => text.includes('upToDate'))
  })
  expect(opened).toMatchObject({ workerRequests: 1, objectRequests: 1, socketMessages: 0 })
  expect(opened.rowsWritten).toBe(0)
  const live = await runtime.counted(async () => {
    for (let i = 0; i < 5; ++i) await append(url, `event ${i};`)
    await reader!.until((text) => text.includes('event 4;'))
  })
  expect(live).toMatchObject({ workerRequests: 5, objectRequests: 5, socketMessages: 0 })
  await reader!.close()
})

test('a read at the tail is never kept, and one of a full chunk is once there is one', async () => {
  const url = await create('grows')
  await append(url, 'begun')
  const read = async () => {
    const answer = await fetch(`${url}?offset=-1`)
    return [answer.headers.get('x-cache'), (await answer.arrayBuffer()).byteLength]
  }
  expect(await read()).toEqual(['BYPASS', 5])
  await append(url, ', and gone on')
  expect(await read()).toEqual(['BYPASS', 18])
  // More than one chunk.
  for (let i = 0; i < 3; ++i) await append(url, 'x'.repeat(1 << 20))
  const [label, size] = await read()
  expect(label).toBe('MISS')
  const counted = await runtime.counted(async () => {
    expect(await read()).toEqual(['HIT', size])
  })
  expect(counted).toMatchObject({ workerRequests: 1, objectRequests: 0 })
})

test('a long-poll that the edge has kept reaches no object', async () => {
  const url = await create('polls')
  const offset = await append(url, 'first')
  await append(url, 'second')
  const poll = `${url}?offset=${offset}&live=long-poll`
  const first = await fetch(poll)
  expect(first.headers.get('x-cache')).toBe('MISS')
  expect(await first.text()).toBe('second')
  const counted = await runtime.counted(async () => {
    for (let i = 0; i < 10; ++i) {
      const kept = await fetch(poll)
      expect(kept.headers.get('x-cache')).toBe('HIT')
      expect(await kept.text()).toBe('second')
    }
  })
  expect(counted).toMatchObject({ workerRequests: 10, objectRequests: 0, rowsRead: 0 })
})

test('equal long-polls that wait at once are one request of the object', async () => {
  const before = (await runtime.counters()).workerRequests + 2
  const url = await create('together')
  const offset = await append(url, 'first')
  const counted = await runtime.counted(async () => {
    const polls = Array.from({ length: 10 }, () => fetch(`${url}?offset=${offset}&live=long-poll`))
    while ((await runtime.counters()).workerRequests < before + 10) continue
    await append(url, 'second')
    for (const answer of await Promise.all(polls)) expect(await answer.text()).toBe('second')
  })
  // Ten polls and the append.
  expect(counted.workerRequests).toBe(11)
  expect(counted.objectRequests).toBe(2)
})

test('a read at the tail is never kept', async () => {
  const url = await create('tail')
  await append(url, 'a')
  for (const expected of ['a', 'ab']) {
    const answer = await fetch(url)
    expect(answer.headers.get('x-cache')).toBe('BYPASS')
    expect(await answer.text()).toBe(expected)
    if (expected === 'a') await append(url, 'b')
  }
})

test('a full chunk is kept, and revalidated at the edge', async () => {
  const url = await create('chunks')
  await append(url, 'x'.repeat(1 << 20))
  await append(url, 'y')
  const first = await fetch(url)
  expect(first.headers.get('x-cache')).toBe('MISS')
  await first.arrayBuffer()
  const etag = first.headers.get('etag') ?? ''
  const again = await fetch(url, { headers: { 'If-None-Match': `"other", ${etag}` } })
  expect(again.status).toBe(304)
  expect(again.headers.get('x-cache')).toBe('HIT')
})

test('a fork costs its source three rows, itself five, and one question later on', async () => {
  await create('source')
  await append(runtime.url('source'), 'shared')
  const counted = await runtime.counted(() =>
    create('fork', { 'Stream-Forked-From': '/v1/stream/source' }).then(() => {}),
  )
  expect(counted).toMatchObject({ objectRequests: 1, objectCalls: 1, alarmsSet: 1 })
  expect(counted.rowsWritten).toBeLessThanOrEqual(8)
})
