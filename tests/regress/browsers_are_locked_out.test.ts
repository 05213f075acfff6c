// A CORS mismatch once answered with the first configured origin instead of none; "*" for allowed
// headers leaves out Authorization; headers that are not exposed read as null in a browser, and a
// wrong name ("X-Stream-…") reads as null everywhere.
import { expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { close, get, head, kText, put, send, type Answer } from '../lib/http.ts'

const server = useServer({ args: ['--long-poll-timeout', '100ms'] })

function list(answer: Answer, name: string): string[] {
  return (answer.headers.get(name) ?? '').toLowerCase().split(/\s*,\s*/)
}

test('a preflight allows what the protocol needs, by name', async () => {
  const answer = await send('OPTIONS', server().url(freshName()), {
    Origin: 'https://app.example',
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'authorization, content-type, producer-id',
  })
  expect([200, 204]).toContain(answer.status)
  expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  expect(list(answer, 'access-control-allow-methods')).toEqual(
    expect.arrayContaining(['get', 'head', 'put', 'post', 'delete']),
  )
  expect(list(answer, 'access-control-allow-headers')).toEqual(
    expect.arrayContaining([
      'content-type',
      'authorization',
      'if-none-match',
      'if-match',
      'stream-seq',
      'stream-ttl',
      'stream-expires-at',
      'stream-closed',
      'stream-forked-from',
      'stream-fork-offset',
      'stream-fork-sub-offset',
      'producer-id',
      'producer-epoch',
      'producer-seq',
    ]),
  )
})

test('every kind of answer can be read by a page, and is safe to embed', async () => {
  const url = server().url(freshName())
  const created = await put(url, kText, 'x')
  const answers = [
    created,
    await get(url),
    await get(url, { 'If-None-Match': '*' }),
    await get(`${url}?offset=now&live=long-poll`),
    await head(url),
    await close(url),
    await get(server().url('no-such-stream')),
    await get(`${url}?offset=bad`),
    await send('PATCH', url),
  ]
  expect(answers.map((answer) => answer.status)).toEqual([
    201, 200, 304, 204, 200, 204, 404, 400, 405,
  ])
  for (const answer of answers) {
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    expect(list(answer, 'access-control-expose-headers')).toEqual(
      expect.arrayContaining([
        'stream-next-offset',
        'stream-cursor',
        'stream-up-to-date',
        'stream-closed',
        'etag',
        'location',
        'producer-epoch',
        'producer-seq',
        'producer-expected-seq',
        'producer-received-seq',
        'stream-sse-data-encoding',
        'retry-after',
      ]),
    )
  }
})
