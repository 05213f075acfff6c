// The Cloudflare implementation adds random jitter to cursors, so that every long-poll has a URL of
// its own and nothing is ever shared; it also lets an empty answer be cached, so that clients spin
// on a stale "nothing". Electric's clients looped on the same URL for days.
import { expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { get, head, kText, nextOffset, post, put, SseReader } from '../lib/http.ts'

const server = useServer({ args: ['--long-poll-timeout', '300ms'] })

/** The interval number of PROTOCOL §10.1. */
function intervalNow(): number {
  return Math.floor((Date.now() - Date.parse('2024-10-09T00:00:00Z')) / 20_000)
}

test('readers at the same place are given the same cursor', async () => {
  const url = server().url(freshName())
  const tail = nextOffset(await put(url, kText, 'x'))
  for (let tries = 0; ; ++tries) {
    const before = intervalNow()
    const polls = await Promise.all(
      Array.from({ length: 8 }, () => get(`${url}?offset=${tail}&live=long-poll`)),
    )
    if (intervalNow() !== before && tries < 3) continue
    const cursors = new Set(polls.map((answer) => answer.headers.get('stream-cursor')))
    expect([...cursors]).toEqual([String(before)])
    return
  }
})

test('readers that bring the same cursor get the same next one, and it only grows', async () => {
  const url = server().url(freshName())
  const tail = nextOffset(await put(url, kText, 'x'))
  let cursor = intervalNow()
  for (let step = 0; step < 4; ++step) {
    const polls = await Promise.all(
      Array.from({ length: 4 }, () => get(`${url}?cursor=${cursor}&live=long-poll&offset=${tail}`)),
    )
    const next = new Set(polls.map((answer) => Number(answer.headers.get('stream-cursor'))))
    expect(next.size).toBe(1)
    const [value = 0] = next
    expect(value).toBeGreaterThan(cursor)
    cursor = value
  }
  const ahead = await get(`${url}?cursor=${cursor + 5000}&live=long-poll&offset=-1`)
  expect(Number(ahead.headers.get('stream-cursor'))).toBeGreaterThan(cursor + 5000)
})

test('SSE cursors do not go backwards either', async () => {
  const url = server().url(freshName())
  await put(url, kText, 'x')
  const brought = intervalNow() + 100
  const reader = await SseReader.open(`${url}?cursor=${brought}&live=sse&offset=-1`)
  const { control } = await reader.untilUpToDate()
  expect(Number(control.streamCursor)).toBeGreaterThan(brought)
  reader.close()
})

test('a cursor that is none of ours is ignored', async () => {
  const url = server().url(freshName())
  await put(url, kText, 'x')
  for (const cursor of ['', 'abc', '-5', '99999999999999999999999', '1e9', '%00']) {
    const answer = await get(`${url}?cursor=${cursor}&live=long-poll&offset=-1`)
    expect(answer.status, cursor).toBe(200)
    const given = Number(answer.headers.get('stream-cursor'))
    expect(Math.abs(given - intervalNow()), cursor).toBeLessThanOrEqual(1)
  }
})

test('what will be wrong in a moment is not cached', async () => {
  const url = server().url(freshName())
  const tail = nextOffset(await put(url, kText, 'x'))
  const nothing = await get(`${url}?offset=${tail}&live=long-poll`)
  expect(nothing.status).toBe(204)
  const uncached = [
    nothing,
    await head(url),
    await get(`${url}?offset=now`),
    await get(`${url}?offset=garbage`),
    await get(server().url('no-such-stream')),
    await post(url, 'x', { 'Content-Type': 'text/html' }),
  ]
  for (const answer of uncached) expect(answer.headers.get('cache-control')).toBe('no-store')
  const atTail = await get(`${url}?offset=-1`)
  expect(atTail.headers.get('cache-control')).toContain('no-cache')
  expect(atTail.headers.get('etag')).not.toBe(null)
})

test('only full chunks whose URL names a life are cached for long', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  const first = nextOffset(await post(url, 'a'.repeat(10)))
  for (let i = 0; i < 3; ++i) await post(url, 'b'.repeat(1 << 20))
  const named = (await get(`${url}?offset=${first}`)).headers.get('cache-control') ?? ''
  expect(named).toMatch(/max-age=60/)
  const unnamed = (await get(`${url}?offset=-1`)).headers.get('cache-control') ?? ''
  expect(unnamed).toMatch(/max-age=5\b/)
})
