// durable-streams/durable-streams#220, #222, #227, #376 and a crate of the same name: close and its
// producer are two writes, so that the retry of a close is refused; an append-and-close lets a
// second writer in between; live readers are not told of the end.
import { expect, test } from 'vitest'
import { freshName, useServer, within } from '../lib/fixture.ts'
import { close, get, head, kText, nextOffset, post, producer, put, SseReader } from '../lib/http.ts'

const server = useServer()

test('the retry of a close is answered 204 with the end, also after a crash', async () => {
  const url = server().url(freshName())
  await put(url, kText, 'data')
  const closing = producer('p', 0, 0)
  const first = await close(url, closing)
  expect(first.status).toBe(204)
  for (const crash of [false, true]) {
    if (crash) {
      await server().kill()
      await server().restart()
    }
    const retry = await close(url, closing)
    expect(retry.status).toBe(204)
    expect(retry.headers.get('stream-closed')).toBe('true')
    expect(nextOffset(retry)).toBe(nextOffset(first))
  }
})

test('the retry of a closing append is a duplicate, but not without its producer', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  const headers = { ...kText, ...producer('p', 0, 0), 'Stream-Closed': 'true' }
  expect((await post(url, 'last', headers)).status).toBe(200)
  const retry = await post(url, 'last', headers)
  expect(retry.status).toBe(204)
  expect(retry.headers.get('stream-closed')).toBe('true')
  const plain = await post(url, 'last', { ...kText, 'Stream-Closed': 'true' })
  expect(plain.status).toBe(409)
  expect(plain.headers.get('stream-closed')).toBe('true')
  expect(nextOffset(plain)).toBe(nextOffset(retry))
  expect((await get(url)).text).toBe('last')
})

test('closing twice is closing once', async () => {
  const url = server().url(freshName())
  await put(url, kText, 'x')
  const answers = await Promise.all(Array.from({ length: 8 }, () => close(url)))
  for (const answer of answers) {
    expect(answer.status).toBe(204)
    expect(answer.headers.get('stream-closed')).toBe('true')
  }
})

test('nobody gets in between the data and the close of an append-and-close', async () => {
  for (let round = 0; round < 20; ++round) {
    const url = server().url(freshName())
    await put(url, kText)
    const others = Array.from({ length: 12 }, (_, i) => post(url, `<${i}>`))
    const last = post(url, 'THE END', { ...kText, 'Stream-Closed': 'true' })
    const accepted = (await Promise.all(others)).filter((answer) => answer.status === 204)
    const end = nextOffset(await last)
    const whole = await get(url)
    expect(whole.text.endsWith('THE END')).toBe(true)
    expect(nextOffset(whole)).toBe(end)
    expect(whole.text.split('<').length - 1).toBe(accepted.length)
    for (const answer of await Promise.all(others)) {
      if (answer.status === 204) continue
      expect(answer.status).toBe(409)
      expect(nextOffset(answer)).toBe(end)
    }
  }
})

test('a parked long-poll is woken by a close, at once', async () => {
  const url = server().url(freshName())
  const tail = nextOffset(await put(url, kText, 'x'))
  const poll = get(`${url}?offset=${tail}&live=long-poll`)
  await new Promise((done) => setTimeout(done, 100))
  await close(url)
  const answer = await within(5000, 'the long-poll', poll)
  expect(answer.status).toBe(204)
  expect(answer.headers.get('stream-closed')).toBe('true')
  expect(answer.headers.get('stream-up-to-date')).toBe('true')
  expect(nextOffset(answer)).toBe(tail)
})

test('an SSE reader gets the last data, then the end, then no more', async () => {
  const url = server().url(freshName())
  await put(url, kText, 'first ')
  const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
  expect((await reader.untilUpToDate()).data).toBe('first ')
  await post(url, 'last', { ...kText, 'Stream-Closed': 'true' })
  const events = await within(5000, 'the end of the response', reader.rest())
  expect(events.map((event) => event.type)).toEqual(['data', 'control'])
  expect(events[0]?.data).toBe('last')
  const control = JSON.parse(events[1]?.data ?? '') as Record<string, unknown>
  expect(control.streamClosed).toBe(true)
  expect(control.streamCursor).toBe(undefined)
  expect(control.streamNextOffset).toBe(nextOffset(await head(url)))
})

test('an SSE reader that comes after the close is told so at once', async () => {
  const url = server().url(freshName())
  const tail = nextOffset(await put(url, { ...kText, 'Stream-Closed': 'true' }, 'all'))
  const reader = await SseReader.open(`${url}?offset=${tail}&live=sse`)
  const events = await within(5000, 'the end of the response', reader.rest())
  expect(events.length).toBe(1)
  expect(JSON.parse(events[0]?.data ?? '')).toMatchObject({
    streamClosed: true,
    streamNextOffset: tail,
  })
})
