// The Cloudflare implementation compares If-None-Match with one exact text, and its read paths
// disagree about closure in the tag, so that a reader is told "not modified" and never hears of the
// end.
import { expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { close, get, kText, nextOffset, post, put } from '../lib/http.ts'

const server = useServer({ args: ['--long-poll-timeout', '1s'] })

async function tagged(): Promise<{ url: string; tag: string; tail: string }> {
  const url = server().url(freshName())
  await put(url, kText, 'content')
  const answer = await get(url)
  return { url, tag: answer.headers.get('etag') ?? '', tail: nextOffset(answer) }
}

test.each([
  ['the tag', (tag: string) => tag],
  ['the tag as a weak one', (tag: string) => `W/${tag}`],
  ['a list with the tag', (tag: string) => `"other", ${tag}, W/"third"`],
  ['a star', () => '*'],
])('%s matches', async (_, condition) => {
  const { url, tag } = await tagged()
  const answer = await get(url, { 'If-None-Match': condition(tag) })
  expect(answer.status).toBe(304)
  expect(answer.headers.get('etag')).toBe(tag)
  expect(answer.text).toBe('')
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
})

test.each(['"other"', 'content', '""', '"a", "b"'])('%s does not', async (condition) => {
  const { url } = await tagged()
  expect((await get(url, { 'If-None-Match': condition })).status).toBe(200)
})

test('the tag changes when data comes and when the stream is closed', async () => {
  const { url, tag } = await tagged()
  await post(url, ' and more')
  const grown = await get(url, { 'If-None-Match': tag })
  expect(grown.status).toBe(200)
  const grownTag = grown.headers.get('etag') ?? ''
  await close(url)
  const closed = await get(url, { 'If-None-Match': `${tag}, ${grownTag}` })
  expect(closed.status).toBe(200)
  expect(closed.headers.get('stream-closed')).toBe('true')
  expect(new Set([tag, grownTag, closed.headers.get('etag')]).size).toBe(3)
})

test('an empty read at the tail has a tag of its own that closure changes', async () => {
  const { url, tail } = await tagged()
  const open = await get(`${url}?offset=${tail}`)
  await close(url)
  const closed = await get(`${url}?offset=${tail}`, {
    'If-None-Match': open.headers.get('etag') ?? '',
  })
  expect(closed.status).toBe(200)
  expect(closed.headers.get('stream-closed')).toBe('true')
})

test('a condition never cuts a long-poll short', async () => {
  const { url, tag, tail } = await tagged()
  const atTail = (await get(`${url}?offset=${tail}`)).headers.get('etag') ?? ''
  const start = Date.now()
  const condition = { 'If-None-Match': `${tag}, ${atTail}` }
  const answer = await get(`${url}?offset=${tail}&live=long-poll`, condition)
  expect(answer.status).toBe(204)
  expect(Date.now() - start).toBeGreaterThan(900)
})

test('a full chunk that stops being the tail gets another tag', async () => {
  const url = server().url(freshName())
  await put(url, kText, 'x'.repeat(1 << 20))
  const before = await get(url)
  expect(before.headers.get('stream-up-to-date')).toBe('true')
  await post(url, 'next')
  const after = await get(url, { 'If-None-Match': before.headers.get('etag') ?? '' })
  expect(after.status).toBe(200)
  expect(after.headers.has('stream-up-to-date')).toBe(false)
})
