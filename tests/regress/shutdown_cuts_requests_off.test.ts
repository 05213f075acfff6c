// SIGTERM: what has begun is finished and live readers are let go, so that nobody takes a clean
// stop for a failure.
import { expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshName, within } from '../lib/fixture.ts'
import { get, kText, nextOffset, post, put, SseReader } from '../lib/http.ts'
import { RawConnection } from '../lib/raw.ts'
import { Server } from '../lib/server.ts'

test('requests on their way are answered, and /ready says that the server stops', async () => {
  const server = await Server.start()
  try {
    const name = freshName()
    const url = server.url(name)
    const tail = nextOffset(await put(url, kText, 'x'))
    const poll = get(`${url}?offset=${tail}&live=long-poll`)
    const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
    await reader.untilUpToDate()
    const ready = await RawConnection.open(server.port)
    const append = await RawConnection.open(server.port)
    const body = 'finished'
    ready.write('GET /ready HTTP/1.1\r\nHost: a\r\n')
    append.write(
      `POST /v1/stream/${name} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 3)}`,
    )
    await sleep(200)

    const stopped = server.terminate()
    // The live readers' ends show that the signal has arrived.
    expect((await within(5000, 'the long-poll', poll)).status).toBe(204)
    await within(5000, 'the end of the SSE response', reader.rest())
    ready.write('\r\n')
    const refused = await within(5000, '/ready', ready.answer())
    expect(refused.status).toBe(503)
    expect(JSON.parse(refused.body.toString()).code).toBe('shutting_down')
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    append.write(body.slice(3))
    expect((await within(5000, 'the append', append.answer())).status).toBe(204)
    expect(await within(15000, 'the exit', stopped)).toBe(0)

    server.launch()
    await server.ready()
    expect((await get(`${url}?offset=${tail}`)).text).toBe(body)
    expect((await post(url, '!')).status).toBe(204)
  } finally {
    await server.stop()
  }
})
