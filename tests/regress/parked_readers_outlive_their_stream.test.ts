// Readers that wait for more must hear of the end: peers leave them parked to their timeout when
// the stream is deleted or expires, and a reader of a fork is woken by its source, or spins.
import { expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshName, useServer, within } from '../lib/fixture.ts'
import { del, get, kText, nextOffset, post, put, SseReader } from '../lib/http.ts'

const server = useServer()

test('deletion ends a parked long-poll', async () => {
  const url = server().url(freshName())
  const tail = nextOffset(await put(url, kText, 'x'))
  const poll = get(`${url}?offset=${tail}&live=long-poll`)
  await sleep(100)
  await del(url)
  expect((await within(5000, 'the long-poll', poll)).status).toBe(404)
})

test('deletion ends an SSE response', async () => {
  const url = server().url(freshName())
  await put(url, kText, 'x')
  const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
  await reader.untilUpToDate()
  await del(url)
  const events = await within(5000, 'the end of the response', reader.rest())
  expect(events.filter((event) => event.data.includes('streamClosed'))).toEqual([])
})

test('soft deletion ends them too', async () => {
  const name = freshName()
  const url = server().url(name)
  const tail = nextOffset(await put(url, kText, 'x'))
  await put(server().url(freshName()), { 'Stream-Forked-From': `/v1/stream/${name}` })
  const poll = get(`${url}?offset=${tail}&live=long-poll`)
  await sleep(100)
  await del(url)
  expect((await within(5000, 'the long-poll', poll)).status).toBe(410)
})

test('expiry ends a parked long-poll and an SSE response', async () => {
  const url = server().url(freshName())
  const expires = new Date(Date.now() + 1500).toISOString()
  const tail = nextOffset(await put(url, { ...kText, 'Stream-Expires-At': expires }, 'x'))
  const poll = get(`${url}?offset=${tail}&live=long-poll`)
  const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
  expect((await within(8000, 'the long-poll', poll)).status).toBe(404)
  await within(8000, 'the end of the response', reader.rest())
  expect((await get(url)).status).toBe(404)
})

test('a stream with a parked reader does not run out of its sliding TTL', async () => {
  const url = server().url(freshName())
  const tail = nextOffset(await put(url, { ...kText, 'Stream-TTL': '1' }, 'x'))
  const poll = get(`${url}?offset=${tail}&live=long-poll`)
  await sleep(2500)
  expect((await post(url, 'still here')).status).toBe(204)
  const answer = await within(5000, 'the long-poll', poll)
  expect(answer.text).toBe('still here')
})

test("a fork's reader gets inherited data at once, and is not woken by the source", async () => {
  const name = freshName()
  const source = server().url(name)
  const fork = server().url(freshName())
  const start = nextOffset(await put(source, kText))
  await post(source, 'shared')
  await put(fork, { 'Stream-Forked-From': `/v1/stream/${name}` })
  const below = await within(5000, 'inherited data', get(`${fork}?offset=${start}&live=long-poll`))
  expect(below.text).toBe('shared')
  let woken = false
  const poll = get(`${fork}?offset=${nextOffset(below)}&live=long-poll`).then((answer) => {
    woken = true
    return answer
  })
  await post(source, ' and more of the source')
  await sleep(300)
  expect(woken).toBe(false)
  await post(fork, ' and the fork')
  expect((await within(5000, 'the long-poll', poll)).text).toBe(' and the fork')
})
