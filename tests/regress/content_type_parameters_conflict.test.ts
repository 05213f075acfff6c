// The Cloudflare implementation compares content types with their parameters, so that fetch, which
// adds "; charset=UTF-8" by itself, is answered 409. JSON and SSE modes are chosen the same way.
import { expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { get, post, put, SseReader } from '../lib/http.ts'

const server = useServer()

test('parameters and case do not matter to appends', async () => {
  const url = server().url(freshName())
  await put(url, { 'Content-Type': 'text/plain' })
  for (const type of ['text/plain;charset=UTF-8', 'Text/Plain', 'text/plain ; charset="utf-8"']) {
    expect((await post(url, 'x', { 'Content-Type': type })).status, type).toBe(204)
  }
  expect((await post(url, 'x', { 'Content-Type': 'text/html' })).status).toBe(409)
  expect((await get(url)).text).toBe('xxx')
})

test('nor to creating the stream again', async () => {
  const url = server().url(freshName())
  expect((await put(url, { 'Content-Type': 'text/plain; charset=utf-8' })).status).toBe(201)
  expect((await put(url, { 'Content-Type': 'text/plain' })).status).toBe(200)
})

test('JSON with a charset is JSON: flattened, checked, shown as one array', async () => {
  const url = server().url(freshName())
  await put(url, { 'Content-Type': 'application/json; charset=utf-8' })
  const type = { 'Content-Type': 'Application/JSON' }
  expect((await post(url, '[1, [2]]', type)).status).toBe(204)
  expect((await post(url, 'nope', type)).status).toBe(400)
  expect((await get(url)).text).toBe('[1,[2]]')
})

test('text with a charset is text in SSE, anything else base64', async () => {
  for (const [type, data] of [
    ['TEXT/x; charset=utf-8', 'hi'],
    ['application/x', 'aGk='],
  ] as const) {
    const url = server().url(freshName())
    await put(url, { 'Content-Type': type }, 'hi')
    const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
    expect((await reader.untilUpToDate()).data).toBe(data)
    expect(reader.headers.get('stream-sse-data-encoding')).toBe(data === 'hi' ? null : 'base64')
    reader.close()
  }
})
