// Electric's Rust server let an answered DELETE come back after a crash; Caddy keeps closure and
// producers apart from the data, so that an answered close may be open again. Each is one op here.
import { beforeAll, describe, expect, test } from 'vitest'
import { useServer } from '../lib/fixture.ts'
import { close, del, get, head, kText, nextOffset, post, producer, put } from '../lib/http.ts'

const server = useServer()
const url = (name: string): string => server().url(name)
const path = (name: string): string => `/v1/stream/${name}`
const tails = new Map<string, string>()

beforeAll(async () => {
  await put(url('deleted'), kText, 'x')
  await put(url('closed'), kText, 'open')
  await put(url('closed-by-append'), kText)
  await put(url('source'), kText, 'shared')
  await put(url('produced'), kText)
  await put(url('sequenced'), kText)
  await put(url('dated'), { ...kText, 'Stream-Expires-At': '2100-01-02T03:04:05Z' })
  await put(url('timed'), { ...kText, 'Stream-TTL': '3600' })
  expect((await put(url('fork'), { 'Stream-Forked-From': path('source') })).status).toBe(201)
  for (let seq = 0; seq < 3; ++seq)
    await post(url('produced'), `${seq}`, { ...kText, ...producer('p', 5, seq) })
  await post(url('sequenced'), 'x', { ...kText, 'Stream-Seq': 'm' })
  expect((await close(url('closed'))).status).toBe(204)
  expect(
    (await post(url('closed-by-append'), 'end', { ...kText, 'Stream-Closed': 'true' })).status,
  ).toBe(204)
  expect((await del(url('source'))).status).toBe(204)
  expect((await del(url('deleted'))).status).toBe(204)
  for (const name of ['closed', 'closed-by-append', 'produced', 'fork', 'sequenced']) {
    tails.set(name, nextOffset(await head(url(name))))
  }
})

describe.each(['kill -9', 'SIGTERM', 'kill -9 again'])('after %s', (how) => {
  beforeAll(async () => {
    if (how === 'SIGTERM') expect(await server().terminate()).toBe(0)
    else await server().kill()
    await server().restart()
  })

  test('a deleted stream stays deleted', async () => {
    expect((await get(url('deleted'))).status).toBe(404)
  })

  test('closed streams stay closed, with all of their data', async () => {
    for (const [name, text] of [
      ['closed', 'open'],
      ['closed-by-append', 'end'],
    ] as const) {
      const answer = await get(url(name))
      expect(answer.text).toBe(text)
      expect(answer.headers.get('stream-closed')).toBe('true')
      expect((await post(url(name), 'more')).status).toBe(409)
    }
  })

  test('a soft-deleted source stays so, and its fork stays readable', async () => {
    expect((await get(url('source'))).status).toBe(410)
    expect((await put(url('source'), kText)).status).toBe(409)
    expect((await get(url('fork'))).text).toBe('shared')
  })

  test('a producer goes on where it was: retries are duplicates, gaps are gaps', async () => {
    const retry = await post(url('produced'), '2', { ...kText, ...producer('p', 5, 2) })
    expect(retry.status).toBe(204)
    expect(retry.headers.get('producer-seq')).toBe('2')
    const fenced = await post(url('produced'), 'z', { ...kText, ...producer('p', 4, 0) })
    expect(fenced.status).toBe(403)
    const gap = await post(url('produced'), 'z', { ...kText, ...producer('p', 5, 9) })
    expect(gap.headers.get('producer-expected-seq')).toBe('3')
    expect((await get(url('produced'))).text).toBe('012')
  })

  test('Stream-Seq is still compared', async () => {
    expect((await post(url('sequenced'), 'y', { ...kText, 'Stream-Seq': 'm' })).status).toBe(409)
  })

  test('tails and configurations are the same', async () => {
    for (const [name, tail] of tails) expect(nextOffset(await head(url(name))), name).toBe(tail)
    const dated = { ...kText, 'Stream-Expires-At': '2100-01-02T03:04:05Z' }
    expect((await put(url('dated'), dated)).status).toBe(200)
    expect((await put(url('timed'), { ...kText, 'Stream-TTL': '3600' })).status).toBe(200)
    expect((await put(url('timed'), { ...kText, 'Stream-TTL': '3601' })).status).toBe(409)
  })
})
