// The upstream TypeScript client, unmodified: create, append, produce, read and follow.
import {
  BackoffDefaults,
  createFetchWithBackoff,
  DurableStream,
  IdempotentProducer,
  stream,
  type HeadResult,
} from '@durable-streams/client'
import { describe, expect, test } from 'vitest'
import { freshName, useServer, within } from '../lib/fixture.ts'
import { get, kJson, post } from '../lib/http.ts'

type HeadResultExists = Extract<HeadResult, { exists: true }>

const server = useServer({ args: ['--long-poll-timeout', '500ms'] })

function create(contentType: string, more: object = {}): Promise<DurableStream> {
  return DurableStream.create({ url: server().url(freshName()), contentType, ...more })
}

async function describeStream(handle: DurableStream): Promise<HeadResultExists> {
  const head = await handle.head()
  if (!head.exists) throw new Error('the stream is not there')
  return head
}

/** The status with which the attempt is refused. */
async function refusal(attempt: Promise<unknown>): Promise<number | undefined> {
  const thrown = await attempt.then(
    () => null,
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(Error)
  return (thrown as { status?: number }).status
}

describe('a stream', () => {
  test('is created, described, filled, read and deleted', async () => {
    const handle = await create('text/plain', { ttlSeconds: 3600 })
    await handle.append('one ')
    await handle.append(new TextEncoder().encode('two '))
    await handle.append(Promise.resolve('three'))
    expect(await (await handle.stream({ live: false })).text()).toBe('one two three')
    const head = await describeStream(handle)
    expect(head.contentType).toContain('text/plain')
    expect(head.offset).toBeTruthy()
    await handle.delete()
    expect((await handle.head()).exists).toBe(false)
    expect(await refusal(handle.append('x'))).toBe(404)
  })

  test('is taken from a stream of pieces', async () => {
    const handle = await create('application/octet-stream')
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 20; ++i) yield new Uint8Array(1000).fill(i)
    }
    await handle.appendStream(pieces())
    const bytes = await (await handle.stream({ live: false })).body()
    expect(bytes.length).toBe(20_000)
    expect(bytes[19_999]).toBe(19)
  })

  test('keeps writers in order by sequence', async () => {
    const handle = await create('text/plain')
    await handle.append('a', { seq: '001' })
    expect(await refusal(handle.append('b', { seq: '001' }))).toBe(409)
    expect(await (await handle.stream({ live: false })).text()).toBe('a')
  })

  test('is closed with a last message', async () => {
    const handle = await create('application/json')
    await handle.append('{"n":1}')
    const { finalOffset } = await handle.close({ body: '{"n":2}' })
    expect(finalOffset).toBe((await describeStream(handle)).offset)
    expect((await describeStream(handle)).streamClosed).toBe(true)
    await refusal(handle.append('{"n":3}'))
    const response = await handle.stream({ live: true })
    expect(await within(5000, 'the end', response.json())).toEqual([{ n: 1 }, { n: 2 }])
    expect(response.streamClosed).toBe(true)
  })
})

describe.each(['long-poll', 'sse'] as const)('following by %s', (live) => {
  test('shows what was there, then what comes, then the end', async () => {
    const handle = await create('application/json')
    await post(handle.url, '[{"n":0},{"n":1}]', kJson)
    const seen: number[] = []
    const response = await stream<{ n: number }>({ url: handle.url, offset: '-1', live })
    response.subscribeJson(({ items }) => {
      seen.push(...items.map((item) => item.n))
    })
    for (let n = 2; n < 30; ++n) await handle.append(JSON.stringify({ n }))
    await handle.close()
    await within(20_000, 'the end', response.closed)
    expect(seen).toEqual(Array.from({ length: 30 }, (_, n) => n))
  })

  test('goes on from an offset over idle times and reconnects', async () => {
    const handle = await create('text/plain')
    await handle.append('skipped;')
    const from = (await describeStream(handle)).offset
    let seen = ''
    const response = await stream({ url: handle.url, offset: from ?? '', live })
    const done = new Promise<void>((resolve) => {
      response.subscribeText(({ text }) => {
        seen += text
        if (seen.endsWith('3;')) resolve()
      })
    })
    for (let i = 0; i < 4; ++i) {
      await new Promise((next) => setTimeout(next, 400))
      await handle.append(`${i};`)
    }
    await within(20_000, 'the data', done)
    response.cancel()
    expect(seen).toBe('0;1;2;3;')
  })

  test('carries bytes', async () => {
    const handle = await create('application/octet-stream')
    const sent = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 31) % 256)
    await handle.append(sent)
    await handle.close()
    const response = await stream({ url: handle.url, offset: '-1', live })
    const seen = await within(20_000, 'the bytes', response.body())
    expect(Buffer.from(seen).equals(Buffer.from(sent))).toBe(true)
  })
})

describe('an idempotent producer', () => {
  test('pipelines batches, each stored once and in order', async () => {
    const handle = await create('application/json')
    const producer = new IdempotentProducer(handle, 'p', { lingerMs: 0, maxInFlight: 8 })
    const sent = Array.from({ length: 500 }, (_, n) => ({ n }))
    for (const [i, item] of sent.entries()) {
      producer.append(JSON.stringify(item))
      if (i % 25 === 0) await new Promise((next) => setTimeout(next, 1))
    }
    await producer.flush()
    expect(await (await handle.stream({ live: false })).json()).toEqual(sent)
    await producer.detach()
  })

  test('sends again what an answer did not settle, and it is there once', async () => {
    const handle = await create('text/plain')
    let posts = 0
    const flaky: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init)
      const lost = init?.method === 'POST' && ++posts % 3 === 1
      return lost ? new Response(null, { status: 503 }) : answer
    }
    const retrying = createFetchWithBackoff(flaky, { ...BackoffDefaults, initialDelay: 5 })
    const producer = new IdempotentProducer(handle, 'p', { lingerMs: 0, fetch: retrying })
    for (let i = 0; i < 12; ++i) {
      producer.append(`${i};`)
      await producer.flush()
    }
    expect(posts).toBeGreaterThan(12)
    expect((await get(handle.url)).text).toBe('0;1;2;3;4;5;6;7;8;9;10;11;')
  })

  test('is fenced by its successor, and may claim the next epoch', async () => {
    const handle = await create('text/plain')
    const old = new IdempotentProducer(handle, 'p', { lingerMs: 0 })
    old.append('old;')
    await old.flush()
    const successor = new IdempotentProducer(handle, 'p', { epoch: 1, lingerMs: 0 })
    successor.append('new;')
    await successor.flush()
    const errors: Error[] = []
    const zombie = new IdempotentProducer(handle, 'p', {
      lingerMs: 0,
      onError: (error) => errors.push(error),
    })
    zombie.append('zombie;')
    await zombie.flush().catch(() => {})
    expect(errors.map((error) => error.name)).toContain('StaleEpochError')
    const claimer = new IdempotentProducer(handle, 'p', { autoClaim: true, lingerMs: 0 })
    claimer.append('claimed;')
    await claimer.flush()
    expect(claimer.epoch).toBe(2)
    expect((await get(handle.url)).text).toBe('old;new;claimed;')
  })
})
