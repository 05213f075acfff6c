// Every peer lets a client that read a stream go on in another one that was created at the same
// path: offsets, ETags and caches know no lives, so bytes of both are mixed. Ours are told apart.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { del, errorCode, get, kText, nextOffset, post, put, send } from '../lib/http.ts'

const server = useServer()

async function recreate(url: string): Promise<{ old: string; fresh: string; oldETag: string }> {
  await put(url, kText, 'first life')
  const seen = await get(url)
  expect((await del(url)).status).toBe(204)
  const created = await put(url, kText, 'SECOND LIFE')
  expect(created.status).toBe(201)
  const oldETag = seen.headers.get('etag') ?? ''
  return { old: nextOffset(seen), fresh: nextOffset(created), oldETag }
}

test('an offset of the old life is answered 410, in every mode', async () => {
  const url = server().url(freshName())
  const { old } = await recreate(url)
  for (const live of ['', '&live=long-poll', '&live=sse']) {
    const answer = await get(`${url}?offset=${old}${live}`)
    expect(answer.status, live).toBe(410)
    expect(errorCode(answer)).toBe('offset_gone')
  }
})

test('offsets of the new life sort after all of the old', async () => {
  const { old, fresh } = await recreate(server().url(freshName()))
  expect(fresh > old).toBe(true)
})

test('an ETag of the old life does not say "not modified"', async () => {
  const url = server().url(freshName())
  const { oldETag } = await recreate(url)
  const answer = await get(url, { 'If-None-Match': oldETag })
  expect(answer.status).toBe(200)
  expect(answer.text).toBe('SECOND LIFE')
})

test('an append that expects the old tail is refused', async () => {
  const url = server().url(freshName())
  const { old, fresh } = await recreate(url)
  const answer = await post(url, 'x', { ...kText, 'If-Match': `"${old}"` })
  expect(answer.status).toBe(412)
  expect(nextOffset(answer)).toBe(fresh)
  expect((await get(url)).text).toBe('SECOND LIFE')
})

test('a fork at an offset of the old life is refused', async () => {
  const name = freshName()
  const { old } = await recreate(server().url(name))
  const answer = await put(server().url(freshName()), {
    'Stream-Forked-From': `/v1/stream/${name}`,
    'Stream-Fork-Offset': old,
  })
  expect(answer.status).toBe(400)
})

test('a stream that expired and was created again is another life', async () => {
  const url = server().url(freshName())
  const old = nextOffset(await put(url, { ...kText, 'Stream-TTL': '1' }, 'short'))
  await sleep(1500)
  const created = await put(url, kText, 'new')
  expect(created.status).toBe(201)
  expect(nextOffset(created) > old).toBe(true)
  expect((await get(`${url}?offset=${old}`)).status).toBe(410)
  expect((await get(url)).text).toBe('new')
})

test('lives go on growing after kill -9', async () => {
  const url = server().url(freshName())
  const { fresh } = await recreate(url)
  await server().kill()
  await server().restart()
  expect((await send('DELETE', url)).status).toBe(204)
  const created = await put(url, kText, 'third')
  expect(nextOffset(created) > fresh).toBe(true)
  expect((await get(`${url}?offset=${fresh}`)).status).toBe(410)
})
