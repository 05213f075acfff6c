// The Cloudflare implementation took any path that contains "/subscribe" for a route of its own, so
// that the DELETE of a session with that word in its id skipped authentication; Electric's server
// let escaped paths around its checks. A path is taken apart once; its spellings are one stream.
import { expect, test } from 'vitest'
import { useServer } from '../lib/fixture.ts'
import { kText } from '../lib/http.ts'
import { RawConnection, type RawAnswer } from '../lib/raw.ts'

const server = useServer()

async function ask(method: string, target: string, body?: string): Promise<RawAnswer> {
  const connection = await RawConnection.open(server().port)
  const answer = await connection.request(method, target, method === 'GET' ? {} : kText, body)
  connection.close()
  return answer
}

const kNames = [
  'a/subscribe',
  'subscribe',
  'unsubscribe/publish',
  'live',
  'live=sse',
  'health',
  'metrics',
  'ready',
  'x__ds',
  '__ds2/x',
  'a/b/__ds',
  'a/b/__ds/subscriptions',
  '-1',
  'now',
  '_default',
  'v1/stream',
  'data',
  'LOCK',
  'catalog.db',
  'log',
  '...',
  '.hidden',
  'a.b',
  '~',
  'sp%20ace',
  '%E2%82%AC',
  'a%2Fb',
  'a:b@c',
  "it's(fine)!$&*+,;=",
  'a'.repeat(900),
  'prototype/__proto__',
  'con',
  'nul.txt',
]

test('any name is a stream like any other', async () => {
  for (const name of kNames) {
    const target = `/v1/stream/p/${name}`
    expect((await ask('PUT', target, name)).status, name).toBe(201)
  }
  for (const name of kNames) {
    const target = `/v1/stream/p/${name}`
    expect((await ask('GET', target)).body.toString(), name).toBe(name)
  }
  for (const name of kNames) {
    expect((await ask('DELETE', `/v1/stream/p/${name}`)).status, name).toBe(204)
    expect((await ask('GET', `/v1/stream/p/${name}`)).status, name).toBe(404)
  }
})

test('two spellings of a URL are one stream, an escaped slash is another', async () => {
  expect((await ask('PUT', '/v1/stream/q/na-me_~.x', 'one')).status).toBe(201)
  for (const spelling of [
    '/v1/stream/q/n%61-me_~.x',
    '/v1/stream/q/na%2Dme%5F%7E%2ex',
    '/v1/stream/%71/na-me_~.x',
  ]) {
    expect((await ask('GET', spelling)).body.toString(), spelling).toBe('one')
    expect((await ask('PUT', spelling)).status, spelling).toBe(200)
  }
  expect((await ask('PUT', '/v1/stream/q/a%2fb', 'escaped')).status).toBe(201)
  expect((await ask('GET', '/v1/stream/q/a%2Fb')).body.toString()).toBe('escaped')
  expect((await ask('GET', '/v1/stream/q/a/b')).status).toBe(404)
})

test('a single segment is a stream of the project _default', async () => {
  expect((await ask('PUT', '/v1/stream/alone', 'x')).status).toBe(201)
  expect((await ask('GET', '/v1/stream/_default/alone')).body.toString()).toBe('x')
})

test('nothing leads out of the stream root, or into what is reserved', async () => {
  const bad: [number, string][] = [
    [400, '/v1/stream/a/../../etc/passwd'],
    [400, '/v1/stream/%2e%2e/%2e%2e/etc/passwd'],
    [400, '/v1/stream/a/.%2e/b'],
    [400, '/v1/stream/a/%2E/b'],
    [400, '/v1/stream/a%5c..%5cb'],
    [400, '/v1/stream/a%00b'],
    [400, '/v1/stream//etc/passwd'],
    [400, '/v1/stream/p//b'],
    [404, '/v1/stream/__ds/x'],
    [404, '/v1/stream/%5F%5fds/x'],
    [404, '/v1/stream/p/__ds/x'],
    [404, '/v1/stream/p/%5f_ds'],
    [404, '/v1/streamss/x'],
    [404, '/v2/stream/x'],
    [404, '/V1/stream/x'],
  ]
  for (const [status, target] of bad) {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      expect((await ask(method, target)).status, `${method} ${target}`).toBe(status)
    }
  }
})
