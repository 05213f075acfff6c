// The Cloudflare implementation joins a read at the tail with one that began before the append, so
// that a writer does not see its own answered write; Electric's Rust server leaves readers a stale
// tail when the client of an append goes away.
import { describe, expect, test } from 'vitest'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshName, useServer, within } from '../lib/fixture.ts'
import { get, head, kText, nextOffset, post, put } from '../lib/http.ts'

describe.each([1, 4])('--threads %i', (threads) => {
  const server = useServer({ threads })

  test('an answered append is in every read that begins after it', async () => {
    const url = server().url(freshName())
    let tail = nextOffset(await put(url, kText))
    let reading = true
    const noise = Array.from({ length: 6 }, async () => {
      while (reading) await get(`${url}?offset=${tail}`)
    })
    for (let i = 0; i < 150; ++i) {
      const body = `${i};`
      const answered = nextOffset(await post(url, body))
      const [rest, meta] = await Promise.all([get(`${url}?offset=${tail}`), head(url)])
      expect(rest.text).toBe(body)
      expect(nextOffset(meta)).toBe(answered)
      tail = answered
    }
    reading = false
    await Promise.all(noise)
  })

  test('an append whose client goes away is seen by readers like any other', async () => {
    const name = freshName()
    const url = server().url(name)
    let tail = nextOffset(await put(url, kText))
    for (let i = 0; i < 20; ++i) {
      const poll = get(`${url}?offset=${tail}&live=long-poll`)
      const socket = connect(server().port, '127.0.0.1')
      const body = `gone ${i};`
      const head_ =
        `POST /v1/stream/${name} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n` +
        `Content-Length: ${body.length}\r\n\r\n`
      await new Promise<void>((done) => socket.write(head_ + body, () => done()))
      if (i % 2 === 0) socket.resetAndDestroy()
      else socket.destroy()
      const seen = await Promise.race([poll, sleep(1500, null)])
      if (seen === null) {
        // The reset overtook the request, which then never was: nothing may be there.
        expect(nextOffset(await head(url))).toBe(tail)
        await post(url, 'filler')
        tail = nextOffset(await within(5000, 'the long-poll', poll))
        continue
      }
      expect(seen.text).toBe(body)
      tail = nextOffset(seen)
      expect(nextOffset(await head(url))).toBe(tail)
    }
  })
})
