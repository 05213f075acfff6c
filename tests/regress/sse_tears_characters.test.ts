// The Cloudflare implementation decodes each append alone, so that a UTF-8 character split over two
// appends becomes U+FFFD twice, and turns CR and CRLF into LF. A crate of the same name sends data
// with the offset *before* it. Here such an append is held back until the character is whole.
import { expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshName, useServer, within } from '../lib/fixture.ts'
import { close, get, kText, nextOffset, post, put, send, SseReader } from '../lib/http.ts'
import { exchange } from '../lib/raw.ts'

const server = useServer()

function append(url: string, bytes: number[]): ReturnType<typeof send> {
  return send('POST', url, kText, Uint8Array.from(bytes))
}

test('a character split over appends arrives whole, to live and to late readers', async () => {
  const url = server().url(freshName())
  await put(url, kText, 'a')
  const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
  const first = await reader.untilUpToDate()
  expect(first.data).toBe('a')
  const euro = [0xe2, 0x82, 0xac]
  await append(url, [0x62, ...euro.slice(0, 1)])
  await append(url, euro.slice(1, 2))
  const late = await SseReader.open(`${url}?offset=-1&live=sse`)
  const lateFirst = await within(5000, 'the late reader', late.next())
  expect(lateFirst?.data).toBe('a')
  expect((await late.control()).streamNextOffset).toBe(first.control.streamNextOffset)
  late.close()
  const last = await append(url, [...euro.slice(2), 0x63])
  let text = ''
  let offset = ''
  while (offset !== nextOffset(last)) {
    const event = await within(5000, 'the rest', reader.next())
    if (event?.type === 'data') text += event.data
    else offset = (JSON.parse(event?.data ?? '{}') as { streamNextOffset: string }).streamNextOffset
  }
  expect(text).toBe('b€c')
  reader.close()
})

test('while it is held back, the offset stays before it, so that nothing is lost', async () => {
  const url = server().url(freshName())
  await put(url, kText, 'a')
  await append(url, [0x62, 0xf0, 0x9f])
  const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
  const { control, data } = await (async () => {
    const event = await reader.next()
    return { data: event?.data, control: await reader.control() }
  })()
  expect(data).toBe('a')
  reader.close()
  await append(url, [0x98, 0x80])
  const again = await SseReader.open(`${url}?offset=${control.streamNextOffset}&live=sse`)
  const rest = await again.untilUpToDate()
  expect(rest.data).toBe('b😀')
  again.close()
})

test('bytes that can no longer become a character are U+FFFD, and closing flushes', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
  await reader.control()
  await append(url, [0x61, 0xff, 0x62])
  expect((await within(5000, 'invalid bytes', reader.untilUpToDate())).data).toBe('a\ufffdb')
  await append(url, [0x63, 0xe2, 0x82])
  await sleep(100)
  await close(url)
  const events = await within(5000, 'the end', reader.rest())
  const data = events.filter((event) => event.type === 'data').map((event) => event.data)
  expect(data.join('')).toBe('c\ufffd')
  expect((await get(url)).bytes).toEqual(Buffer.from([0x61, 0xff, 0x62, 0x63, 0xe2, 0x82]))
})

test('CR, LF and CRLF end lines of one event, and no data becomes a field', async () => {
  const name = freshName()
  const url = server().url(name)
  const text = 'one\rtwo\nthree\r\nevent: control\ndata: {"streamClosed":true}\n\n spaced\n:comment'
  await put(url, { ...kText, 'Stream-Closed': 'true' }, text)
  const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
  const events = await reader.rest()
  expect(events.map((event) => event.type)).toEqual(['data', 'control'])
  expect(events[0]?.data).toBe(text.replace(/\r\n?/g, '\n'))
  const request = `GET /v1/stream/${name}?offset=-1&live=sse HTTP/1.1\r\nHost: x\r\n\r\n`
  const { answers } = await exchange(server().port, request, { count: 1 })
  expect(answers[0]?.body.toString().replace(/\r\n/g, '')).not.toContain('\r')
})

test('each data event is followed by the offset after it', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
  await reader.control()
  for (const body of ['alpha', 'beta', 'gamma']) {
    const answered = nextOffset(await post(url, body))
    const event = await within(5000, body, reader.next())
    expect(event).toEqual({ type: 'data', data: body })
    expect((await reader.control()).streamNextOffset).toBe(answered)
  }
  reader.close()
})
