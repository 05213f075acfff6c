// What a stream no longer keeps is refused with the place to go on from, for ever.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { errorCode, get, head, kText, positionOf, post, put, readAll } from '../lib/http.ts'
import { Server } from '../lib/server.ts'

const kSealing = ['--generation-size', '64KiB', '--seal-after', '100ms', '--evict-after', '0s']
const kMessage = 1000
const kMessages = 100
const kKept = 20_000

test('a stream lets go of what is beyond Stream-Max-Bytes, and says where it begins', async () => {
  const server = await Server.start({ args: ['--max-body-bytes', '64KiB', ...kSealing] })
  try {
    const url = server.url('trimmed')
    const created = await put(url, { ...kText, 'Stream-Max-Bytes': String(kKept) })
    expect(created.status).toBe(201)
    const begin = created.headers.get('stream-next-offset') ?? ''
    let sent = ''
    for (let i = 0; i < kMessages; ++i) {
      const message = String.fromCharCode(97 + (i % 26)).repeat(kMessage)
      expect((await post(url, message)).status).toBe(204)
      sent += message
    }
    // It is planned once a generation has been sealed, and done when the next one is.
    let earliest: string | null = null
    while (earliest === null) {
      await sleep(50)
      earliest = (await head(url)).headers.get('stream-earliest-offset')
    }
    // Whatever it has let go of by now: what it says and what it gives are one.
    const check = async () => {
      for (;;) {
        const now = (await head(url)).headers.get('stream-earliest-offset') ?? ''
        const refused = await get(`${url}?offset=${begin}`)
        const sse = await get(`${url}?offset=${begin}&live=sse`)
        const poll = await get(`${url}?offset=${begin}&live=long-poll`)
        const all = await readAll(url)
        const named = await readAll(url, now).catch(() => undefined)
        const after = (await head(url)).headers.get('stream-earliest-offset')
        if (after !== now) continue
        const at = positionOf(now)
        expect(at).toBeGreaterThan(0)
        expect(at).toBeLessThanOrEqual(sent.length - kKept)
        expect([refused.status, errorCode(refused)]).toEqual([410, 'offset_trimmed'])
        expect(refused.headers.get('stream-earliest-offset')).toBe(now)
        expect([sse.status, poll.status]).toEqual([410, 410])
        expect(all.bytes.toString()).toBe(sent.slice(at))
        expect(named?.bytes.toString()).toBe(sent.slice(at))
        return
      }
    }
    await check()
    await server.kill()
    await server.restart()
    await check()
  } finally {
    await server.stop()
  }
})

test('a retention that is none is refused', async () => {
  const server = await Server.start()
  try {
    for (const [name, value] of [
      ['Stream-Max-Bytes', '0'],
      ['Stream-Max-Age', 'soon'],
    ] as const) {
      const refused = await put(server.url('odd'), { ...kText, [name]: value })
      expect([refused.status, errorCode(refused)]).toEqual([400, 'invalid_retention'])
    }
    expect((await head(server.url('odd'))).status).toBe(404)
  } finally {
    await server.stop()
  }
})
