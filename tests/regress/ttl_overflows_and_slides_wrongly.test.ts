// One server panics on a TTL of 2^64 - 1, another parses "soon" to NaN and goes on; the Cloudflare
// implementation counts the TTL from creation although it slides, and frees nothing that nobody
// touches.
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { close, get, head, kText, nextOffset, post, put } from '../lib/http.ts'

const server = useServer()

async function ttlStream(seconds = 2): Promise<string> {
  const url = server().url(freshName())
  expect((await put(url, { ...kText, 'Stream-TTL': String(seconds) }, 'x')).status).toBe(201)
  return url
}

test('absurd TTLs are refused and the server lives', async () => {
  const url = server().url(freshName())
  for (const ttl of [
    '18446744073709551615',
    '18446744073709551616',
    '9007199254740993',
    'NaN',
    '-0',
    '',
  ]) {
    const answer = await put(url, { ...kText, 'Stream-TTL': ttl })
    expect([400, 201, 200], ttl).toContain(answer.status)
    if (ttl !== '') expect(answer.status, ttl).toBe(400)
  }
  expect((await get(`${server().origin}/health`)).status).toBe(200)
})

test('the largest TTL and far dates are kept as they are', async () => {
  const url = await ttlStream(10_000_000_000)
  expect((await head(url)).headers.get('stream-ttl')).toBe('10000000000')
  const dated = server().url(freshName())
  const headers = { ...kText, 'Stream-Expires-At': '9999-12-31T23:59:59Z' }
  expect((await put(dated, headers, 'x')).status).toBe(201)
  expect((await get(dated)).text).toBe('x')
  await server().kill()
  await server().restart()
  expect((await get(url)).text).toBe('x')
  expect((await get(dated)).text).toBe('x')
})

test('the same instant in another time zone is the same configuration', async () => {
  const url = server().url(freshName())
  expect((await put(url, { ...kText, 'Stream-Expires-At': '2090-01-01T00:00:00Z' })).status).toBe(
    201,
  )
  expect(
    (await put(url, { ...kText, 'Stream-Expires-At': '2090-01-01T02:00:00+02:00' })).status,
  ).toBe(200)
})

describe('a TTL of two seconds', () => {
  test('is over two seconds after the last access, not before', async () => {
    const url = await ttlStream()
    await sleep(1200)
    expect((await get(url)).status).toBe(200)
    await sleep(1200)
    expect((await get(url)).status).toBe(200)
    await sleep(3200)
    expect((await get(url)).status).toBe(404)
  })

  test.each<[string, (url: string) => Promise<unknown>]>([
    ['an append', (url) => post(url, 'y')],
    ['a read at the tail', (url) => get(`${url}?offset=now`)],
    ['a close', (url) => close(url)],
  ])('is extended by %s', async (_, access) => {
    const url = await ttlStream()
    await sleep(1200)
    await access(url)
    await sleep(1200)
    expect((await head(url)).status).toBe(200)
  })

  test('is not extended by HEAD', async () => {
    const url = await ttlStream()
    for (let i = 0; i < 4; ++i) {
      await sleep(800)
      await head(url)
    }
    expect((await get(url)).status).toBe(404)
  })

  test('goes on across a crash: neither expired early nor back from the dead', async () => {
    const dead = await ttlStream(1)
    await sleep(1800)
    expect((await get(dead)).status).toBe(404)
    const alive = await ttlStream(3)
    const tail = nextOffset(await head(alive))
    await server().kill()
    await server().restart()
    expect((await get(dead)).status).toBe(404)
    const answer = await get(alive)
    expect(answer.status).toBe(200)
    expect(nextOffset(answer)).toBe(tail)
  })
})

test('an expired stream with a fork is soft-deleted', async () => {
  const name = freshName()
  const url = server().url(name)
  await put(url, { ...kText, 'Stream-TTL': '1' }, 'shared')
  const fork = server().url(freshName())
  await put(fork, { 'Stream-Forked-From': `/v1/stream/${name}`, 'Stream-TTL': '3600' })
  await sleep(2000)
  expect((await get(url)).status).toBe(410)
  expect((await put(url, kText)).status).toBe(409)
  expect((await get(fork)).text).toBe('shared')
})
