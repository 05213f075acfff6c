// The Cloudflare implementation has settings for the number and the lifetime of its SSE clients,
// but uses neither; it sends no heartbeats, so that proxies cut idle readers; and its 10,001st
// long-poll is told "timed out" at once, and comes back at once, for ever.
import { describe, expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshName, useServer, within } from '../lib/fixture.ts'
import { errorCode, get, kText, nextOffset, post, put, SseReader } from '../lib/http.ts'
import { Server } from '../lib/server.ts'

describe('SSE', () => {
  const server = useServer({ args: ['--sse-heartbeat', '100ms', '--sse-lifetime', '1500ms'] })

  test('an idle response is kept alive, told apart from buffering, and ended cleanly', async () => {
    const url = server().url(freshName())
    await put(url, kText, 'x')
    const start = Date.now()
    const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
    expect(reader.headers.get('x-accel-buffering')).toBe('no')
    expect(reader.headers.get('cache-control')).toContain('no-cache')
    expect(reader.headers.get('content-type')).toContain('text/event-stream')
    const { control } = await reader.untilUpToDate()
    expect(await within(10_000, 'the end', reader.rest())).toEqual([])
    expect(Date.now() - start).toBeGreaterThan(1000)
    expect(reader.heartbeats).toBeGreaterThan(5)
    await post(url, 'y')
    const next = await SseReader.open(`${url}?offset=${control.streamNextOffset}&live=sse`)
    expect((await next.untilUpToDate()).data).toBe('y')
    next.close()
  })

  test('a busy response ends too, and nothing is lost or doubled over reconnects', async () => {
    const url = server().url(freshName())
    await put(url, kText)
    let writing = true
    const writer = (async () => {
      let sent = ''
      for (let i = 0; writing; ++i) {
        await post(url, `${i};`)
        sent += `${i};`
      }
      return sent
    })()
    let offset = '-1'
    let seen = ''
    for (let connection = 0; connection < 3; ++connection) {
      const reader = await SseReader.open(`${url}?offset=${offset}&live=sse`)
      for (const event of await within(10_000, 'the end', reader.rest())) {
        if (event.type === 'data') seen += event.data
        else offset = (JSON.parse(event.data) as { streamNextOffset: string }).streamNextOffset
      }
    }
    writing = false
    const sent = await writer
    expect(seen.length).toBeGreaterThan(0)
    expect(sent.startsWith(seen)).toBe(true)
    const rest = await get(`${url}?offset=${offset}`)
    expect(seen + rest.text).toBe(sent)
  })
})

test('a reader over the limit is told to come back later, not that nothing happened', async () => {
  const server = await Server.start({ threads: 1, args: ['--live-readers-max', '2'] })
  try {
    const url = server.url(freshName())
    const tail = nextOffset(await put(url, kText, 'x'))
    const readers = [
      await SseReader.open(`${url}?offset=-1&live=sse`),
      await SseReader.open(`${url}?offset=-1&live=sse`),
    ]
    for (const reader of readers) await reader.untilUpToDate()
    for (const live of ['long-poll', 'sse']) {
      const refused = await get(`${url}?offset=${tail}&live=${live}`)
      expect(refused.status).toBe(503)
      expect(errorCode(refused)).toBe('too_many_readers')
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    expect((await get(url)).text).toBe('x')
    for (const reader of readers) reader.close()
    for (let tries = 0; tries < 100; ++tries) {
      const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
      reader.close()
      if (reader.status === 200) return
      await sleep(20)
    }
    throw new Error('readers that left still count')
  } finally {
    await server.stop()
  }
})

test('SIGTERM ends parked readers and exits 0', async () => {
  const server = await Server.start()
  try {
    const url = server.url(freshName())
    const tail = nextOffset(await put(url, kText, 'x'))
    const poll = get(`${url}?offset=${tail}&live=long-poll`)
    const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
    await reader.untilUpToDate()
    await sleep(100)
    const code = within(9000, 'the exit', server.terminate())
    expect([204, 503]).toContain((await within(5000, 'the long-poll', poll)).status)
    await within(5000, 'the end of the response', reader.rest())
    expect(await code).toBe(0)
  } finally {
    await server.stop()
  }
})

test('two servers cannot open one data directory', async () => {
  const server = await Server.start()
  try {
    const url = server.url(freshName())
    await put(url, kText, 'mine')
    await expect(Server.start({ dataDir: server.dataDir })).rejects.toThrow(/ended while starting/)
    expect((await get(url)).text).toBe('mine')
    expect((await post(url, ' still')).status).toBe(204)
  } finally {
    await server.stop()
  }
})
