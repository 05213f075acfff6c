// Requests whose end two parsers may see at different places. Each is refused, the connection is
// closed, and what hides behind it is never carried out.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { get, kText, put } from '../lib/http.ts'
import { exchange, type RawAnswer } from '../lib/raw.ts'
import { Server } from '../lib/server.ts'
import { expectRefusal } from './answers.ts'

const kHost = 'Host: 127.0.0.1\r\n'
const kPost = `POST /v1/stream/victim HTTP/1.1\r\n${kHost}Content-Type: text/plain\r\n`
const kHidden =
  `POST /v1/stream/hidden HTTP/1.1\r\n${kHost}Content-Type: text/plain\r\n` +
  'Content-Length: 8\r\n\r\nsmuggled'
const kIdentity = 'Transfer-Encoding: identity\r\n'
const kChunked = '5\r\nhello\r\n0\r\n\r\n'

// Headers after kPost's, then the body; kHidden follows.
const kFraming: Record<string, string> = {
  'length and chunked': `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${kChunked}`,
  'chunked and length': `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${kChunked}`,
  'two equal lengths': 'Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
  'two different lengths': 'Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello',
  'a list of lengths': 'Content-Length: 5, 5\r\n\r\nhello',
  'a length with a sign': 'Content-Length: +5\r\n\r\nhello',
  'a negative length': 'Content-Length: -5\r\n\r\nhello',
  'a hexadecimal length': 'Content-Length: 0x5\r\n\r\nhello',
  'a length with text': 'Content-Length: 5 bytes\r\n\r\nhello',
  'an empty length': 'Content-Length: \r\n\r\nhello',
  'a length beyond 64 bits': 'Content-Length: 18446744073709551621\r\n\r\nhello',
  'a space before the colon': 'Content-Length : 5\r\n\r\nhello',
  'a tab before the colon': 'Transfer-Encoding\t: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'a folded header': 'X-A: 1\r\n Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
  'a folded length': 'Content-Length:\r\n 5\r\n\r\nhello',
  'a bare CR in a header': 'X-A: 1\rContent-Length: 50\r\nContent-Length: 5\r\n\r\nhello',
  'a NUL in a header': 'X-A: 1\0\r\nContent-Length: 5\r\n\r\nhello',
  'a header without a name': ': 1\r\nContent-Length: 5\r\n\r\nhello',
  'a header without a colon': 'X-A\r\nContent-Length: 5\r\n\r\nhello',
  'two Hosts': `${kHost}Content-Length: 5\r\n\r\nhello`,
  'chunked twice': `Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${kChunked}`,
  'chunked, then identity': `Transfer-Encoding: chunked, identity\r\n\r\n${kChunked}`,
  'an unknown coding': `Transfer-Encoding: xchunked\r\n\r\n${kChunked}`,
  'a coding over chunked': `Transfer-Encoding: gzip, chunked\r\n\r\n${kChunked}`,
  'a vertical tab in the coding': `Transfer-Encoding: \x0bchunked\r\n\r\n${kChunked}`,
  'identity, and chunked apart': `${kIdentity}Transfer-Encoding: chunked\r\n\r\n${kChunked}`,
  'a chunk size with a sign': 'Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n',
  'a negative chunk size': 'Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n',
  'a chunk size with a prefix': 'Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n',
  'a chunk size beyond 64 bits':
    'Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n',
  'an empty chunk size': 'Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n',
  'a chunk longer than its size': 'Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n',
  'a chunk size ended by LF': 'Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n',
  'a chunk ended by LF': 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n',
}

// Whole requests; kHidden follows.
const kStarts: Record<string, string> = {
  'lines ended by LF': `GET /v1/stream/victim HTTP/1.1\nHost: 127.0.0.1\n\n`,
  'a head ended by LF LF': `GET /v1/stream/victim HTTP/1.1\r\n${kHost}\n`,
  'no Host': 'GET /v1/stream/victim HTTP/1.1\r\nAccept: x\r\n\r\n',
  'two spaces in the request line': `GET  /v1/stream/victim HTTP/1.1\r\n${kHost}\r\n`,
  'a tab in the request line': `GET\t/v1/stream/victim\tHTTP/1.1\r\n${kHost}\r\n`,
  'a space in the target': `GET /v1/stream/victim x HTTP/1.1\r\n${kHost}\r\n`,
  'a control character in the target': `GET /v1/stream/vic\x01tim HTTP/1.1\r\n${kHost}\r\n`,
  'a name that is no token': `GET /v1/stream/victim HTTP/1.1\r\n${kHost}X(A): 1\r\n\r\n`,
  'a space before the first header': `GET /v1/stream/victim HTTP/1.1\r\n X: 1\r\n${kHost}\r\n`,
  'chunked in HTTP/1.0':
    `POST /v1/stream/victim HTTP/1.0\r\n${kHost}Content-Type: text/plain\r\n` +
    `Transfer-Encoding: chunked\r\n\r\n${kChunked}`,
}

const kCodes = new Map([
  [400, 'malformed_request'],
  [501, 'not_implemented'],
  [505, 'http_version'],
])

let server: Server

beforeAll(async () => {
  server = await Server.start()
})
beforeEach(async () => {
  await put(server.url('victim'), kText)
  await put(server.url('hidden'), kText)
})
afterAll(() => server.stop())

async function refused(request: string): Promise<void> {
  const { answers, closed } = await exchange(server.port, Buffer.from(request, 'latin1'), {
    waitMs: 3000,
  })
  expect(answers.map((answer) => answer.status).join()).toMatch(/^(400|501|505)$/)
  const [answer] = answers as [RawAnswer]
  expectRefusal(answer, answer.status, kCodes.get(answer.status) ?? '')
  expect(closed, 'the connection is closed').toBe(true)
  expect((await get(server.url('hidden'))).text).toBe('')
  expect((await get(server.url('victim'))).text).toBe('')
}

describe('refused: a body with', () => {
  for (const [name, framing] of Object.entries(kFraming)) {
    test(name, () => refused(`${kPost}${framing}${kHidden}`))
  }
})

describe('refused: a request with', () => {
  for (const [name, start] of Object.entries(kStarts)) {
    test(name, () => refused(`${start}${kHidden}`))
  }
})

describe('versions', () => {
  for (const version of ['HTTP/2.0', 'HTTP/3.0', 'HTTP/0.9']) {
    test(`${version} is refused with 505 or 400`, async () => {
      const request = `GET /v1/stream/victim ${version}\r\n${kHost}\r\n${kHidden}`
      const { answers, closed } = await exchange(server.port, request, { waitMs: 3000 })
      expect(answers.map((answer) => answer.status).join()).toMatch(/^(400|505)$/)
      expect(closed).toBe(true)
      expect((await get(server.url('hidden'))).text).toBe('')
    })
  }
})

describe('accepted, for they are unambiguous', () => {
  const pair = async (framing: string): Promise<string> => {
    await put(server.url('plain'), kText)
    const before = (await get(server.url('plain'))).text.length
    const request = kPost.replace('victim', 'plain') + framing
    const twice = await exchange(server.port, request + request, { count: 2 })
    expect(twice.answers.map((answer) => answer.status)).toEqual([204, 204])
    return (await get(server.url('plain'))).text.slice(before)
  }

  test('two pipelined requests with lengths', async () => {
    expect(await pair('Content-Length: 5\r\n\r\nhello')).toBe('hellohello')
  })

  test('chunks with extensions and trailers', async () => {
    const framing =
      'Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n'
    expect(await pair(framing)).toBe('hellohello')
  })

  test('a trailer is no header', async () => {
    const framing =
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nStream-Closed: true\r\n\r\n'
    expect(await pair(framing)).toBe('hellohello')
    expect((await get(server.url('plain'))).headers.has('stream-closed')).toBe(false)
  })

  test('Expect: 100-continue is answered before the body is there', async () => {
    const start = kPost.replace('victim', 'plain')
    const request = `${start}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`
    const { answers, interim } = await exchange(server.port, request, { waitMs: 500 })
    expect(answers).toEqual([])
    expect(interim).toEqual([100])
    const { answers: whole } = await exchange(server.port, `${request}hello`, { count: 1 })
    expect(whole[0]?.status).toBe(204)
  })
})
