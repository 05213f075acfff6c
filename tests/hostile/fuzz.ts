// Malformed requests, by the seed: valid ones that were bent out of shape, and shapes that are
// known to confuse servers. What could still be a valid write only ever names streams below
// "scratch/"; protected streams are only named in reads, and in writes that no server may accept.
import type { Random } from '../lib/random.ts'

const kNasty = [
  '',
  ' ',
  '\t',
  '\0',
  '\x7f',
  '\xff\xfe',
  '-1',
  '0',
  '-0',
  '+1',
  '00',
  '1e3',
  '0x10',
  '1.5',
  'NaN',
  '9007199254740992',
  '18446744073709551616',
  '9'.repeat(400),
  'true',
  'null',
  '*',
  '"',
  '""',
  ',',
  'W/"',
  '%',
  '%zz',
  '%00',
  '%0d%0aX: y',
  '../../etc/passwd',
  '..%2f..%2f',
  '\\',
  'é',
  '💥',
  '0000000000000000_0000000000000000',
  '0000000000000001_0000000000000001',
  '9999999999999999_9999999999999999',
  '0000000000000000_000000000000000x',
  '_',
  'now',
  'x'.repeat(9000),
]

const kHeaderNames = [
  'Content-Type',
  'Content-Length',
  'Transfer-Encoding',
  'Host',
  'Connection',
  'Expect',
  'Upgrade',
  'Stream-Seq',
  'Stream-TTL',
  'Stream-Expires-At',
  'Stream-Closed',
  'Stream-Forked-From',
  'Stream-Fork-Offset',
  'Stream-Fork-Sub-Offset',
  'Producer-Id',
  'Producer-Epoch',
  'Producer-Seq',
  'If-Match',
  'If-None-Match',
  'Range',
  'Origin',
  'Authorization',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'Content-Encoding',
  'TE',
  'Trailer',
  'Cookie',
  'Keep-Alive',
]

const kHeaderLines = [
  'Content-Length: 5\r\nContent-Length: 6',
  'Content-Length: 5, 5',
  'Content-Length: -5',
  'Content-Length: +5',
  'Content-Length: 0x5',
  'Content-Length: 99999999999999999999',
  'Content-Length : 5',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding\t: chunked',
  'Transfer-Encoding: xchunked',
  'X: a\r\n b',
  'X: a\r\n\tb',
  'X: a\rb',
  'X: a\nb',
  'X\0: a',
  'X: \0',
  'no colon here',
  ': no name',
  ' leading: space',
  'Host: a\r\nHost: b',
  'Expect: 200-ok',
  'Expect: 100-continue',
  'Connection: close, ,',
  'Upgrade: websocket\r\nConnection: Upgrade',
  'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings',
]

const kRequestLines = [
  'GET',
  'GET ',
  'GET /',
  'GET  / HTTP/1.1',
  ' GET / HTTP/1.1',
  'GET / HTTP/1.1 ',
  'GET\t/\tHTTP/1.1',
  'GET / HTTP/0.9',
  'GET / HTTP/1.2',
  'GET / HTTP/2.0',
  'GET / HTTP/11',
  'GET / HTTP/1.',
  'GET / http/1.1',
  'get / HTTP/1.1',
  'PATCH / HTTP/1.1',
  'TRACE / HTTP/1.1',
  'CONNECT 127.0.0.1:80 HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'G\0T / HTTP/1.1',
  'GET http://127.0.0.1/v1/stream/x HTTP/1.1',
  'GET * HTTP/1.1',
  'PRI * HTTP/2.0',
  'GET /#x HTTP/1.1',
  'GET /?\x01 HTTP/1.1',
  'GET /v1/stream/%ff HTTP/1.1',
]

const kPaths = [
  '',
  '/',
  '//',
  '/v1',
  '/v1/',
  '/v1/stream',
  '/v1/stream/',
  '/v1/stream//',
  '/v1/stream//a',
  '/v1/stream/a//b',
  '/v1/stream/a/',
  '/v1/stream/.',
  '/v1/stream/..',
  '/v1/stream/a/../b',
  '/v1/stream/a/./b',
  '/v1/stream/%2e%2e/b',
  '/v1/stream/a%2f..%2fb',
  '/v1/stream/a%5cb',
  '/v1/stream/a\\b',
  '/v1/stream/%',
  '/v1/stream/%4',
  '/v1/stream/%zz',
  '/v1/stream/%00',
  '/v1/stream/a%0d%0ab',
  '/v1/stream/__ds',
  '/v1/stream/__ds/x',
  '/v1/stream/p/__ds/x',
  '/v1/stream/p/%5f_ds/x',
  `/v1/stream/${'a'.repeat(2000)}`,
  `/v1/stream/${'a/'.repeat(600)}b`,
  `/v1/stream/${'a'.repeat(70_000)}`,
  '/v1/stream/a;b=c',
  '/v1/stream/é',
  '/health/..',
  '/metrics/x',
]

const kBodies = [
  '',
  'x',
  '{',
  '[',
  '[]',
  '[1,',
  '[1,]',
  '{"a":}',
  '{"a":1,}',
  '"\\ud800"',
  '"\x01"',
  'nul',
  '01',
  '+1',
  '.5',
  '1.',
  '1e',
  '-',
  '[1]x',
  '\ufeff[1]',
  '\xff',
  '"\xc0\x80"',
  '['.repeat(600),
  '{"a":'.repeat(600),
]

const kChunkedBodies = [
  '5\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello',
  '5\nhello\n0\n\n',
  '-5\r\nhello\r\n0\r\n\r\n',
  '+5\r\nhello\r\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  'FFFFFFFFFFFFFFFF\r\nhello',
  'FFFFFFFFFFFFFFFFF\r\nhello',
  '5 \r\nhello\r\n0\r\n\r\n',
  '5;ext\r\nhello\r\n0\r\n\r\n',
  '5;ext\nhello\r\n0\r\n\r\n',
  '5\r\nhelloX\r\n0\r\n\r\n',
  '\r\n',
  'zz\r\n',
  '5\r\nhello\r\n0\r\nX',
  '5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n',
  `5;${'e'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`,
  `5\r\nhello\r\n0\r\nT: ${'t'.repeat(200_000)}\r\n\r\n`,
  '7fffffff\r\nhello',
  '5\r\nhello\r\n',
]

const kQueries = [
  'offset=',
  'offset',
  'offset=-2',
  'offset=abc',
  'offset=-1&offset=-1',
  'offset=now&offset=now',
  'live=sse',
  'live=long-poll',
  'live=',
  'live=websocket&offset=-1',
  'live=sse&live=sse&offset=-1',
  'offset=%',
  'offset=%zz',
  'offset=%00',
  'offset=-1%20',
  '=',
  '&',
  '&&&&',
  'offset=-1&cursor=',
  'cursor=-1',
  '?',
  `offset=${'0'.repeat(5000)}`,
  'offset=0000000000000000_0000000000000000%',
  'of%66set=zz',
  'offset=1_1',
]

function header(random: Random): string {
  if (random.chance(0.4)) return random.pick(kHeaderLines)
  return `${random.pick(kHeaderNames)}: ${random.pick(kNasty)}`
}

/** Flips, cuts, doubles and inserts bytes. */
function bend(random: Random, request: Buffer): Buffer {
  let bytes: Buffer = Buffer.from(request)
  for (let times = random.int(1, 6); times > 0; --times) {
    const at = random.int(0, bytes.length)
    const to = Math.min(bytes.length, at + random.int(0, 12))
    switch (random.int(0, 5)) {
      case 0:
        if (at < bytes.length) bytes[at] = random.int(0, 255)
        break
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])
        break
      case 3:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          random.bytes(random.int(1, 8)),
          bytes.subarray(at),
        ])
        break
      case 4:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from(random.pick(kNasty), 'latin1'),
          bytes.subarray(at),
        ])
        break
      default:
        bytes = bytes.subarray(0, Math.max(1, at))
    }
    if (bytes.length === 0) return Buffer.from('\r\n')
  }
  return bytes
}

/** A request that would be valid, on a stream that may change. */
function valid(random: Random): Buffer {
  const path = `/v1/stream/scratch/${random.int(0, 40)}`
  const json = random.chance(0.5)
  const type = `Content-Type: ${json ? 'application/json' : 'text/plain'}\r\n`
  const body = json ? '[{"a":1},2]' : 'hello'
  const length = `Content-Length: ${body.length}\r\n`
  const host = 'Host: 127.0.0.1\r\n'
  const line = (method: string, query = ''): string =>
    `${method} ${path}${query} HTTP/1.1\r\n${host}`
  switch (random.int(0, 8)) {
    case 0:
      return Buffer.from(`${line('PUT')}${type}${length}\r\n${body}`)
    case 1:
      return Buffer.from(`${line('POST')}${type}${length}\r\n${body}`)
    case 2: {
      const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
      return Buffer.from(`${line('POST')}${type}Transfer-Encoding: chunked\r\n\r\n${chunk}`)
    }
    case 3: {
      const seq = `Producer-Id: p\r\nProducer-Epoch: 0\r\nProducer-Seq: ${random.int(0, 3)}\r\n`
      return Buffer.from(`${line('POST')}${type}${seq}${length}\r\n${body}`)
    }
    case 4: {
      const fork = `Stream-Forked-From: /v1/stream/scratch/${random.int(0, 40)}\r\n`
      return Buffer.from(`${line('PUT')}${fork}Stream-TTL: 60\r\nContent-Length: 0\r\n\r\n`)
    }
    case 5:
      return Buffer.from(
        `${line('GET', `?offset=-1&live=${random.pick(['sse', 'long-poll'])}`)}\r\n`,
      )
    case 6:
      return Buffer.from(`${line('HEAD')}\r\n`)
    case 7:
      return Buffer.from(`${line('DELETE')}\r\n`)
    default:
      return Buffer.from(`${line('OPTIONS')}Origin: http://x\r\n\r\n`)
  }
}

/** A write that is wrong whatever the state of the stream, aimed at one that must not change. */
function refusedWrite(random: Random, path: string): string {
  const start = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n`
  const text = 'Content-Type: text/plain\r\n'
  const hello = 'Content-Length: 5\r\n\r\nhello'
  const nasty = random.pick(kNasty).replace(/[\r\n]/g, '')
  return random.pick([
    `${start}${text}Content-Length: 0\r\n\r\n`,
    `${start}Content-Length: 5\r\n\r\nhello`,
    `${start}Content-Type: wrong/type\r\nContent-Length: 5\r\n\r\nhello`,
    `${start}Content-Type: application/json\r\nContent-Length: 6\r\n\r\n[1,2,3`,
    `${start}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n[]`,
    `${start}${text}Producer-Id: p\r\nContent-Length: 5\r\n\r\nhello`,
    `${start}${text}Producer-Id: p\r\nProducer-Epoch: x${nasty}\r\nProducer-Seq: 0\r\n${hello}`,
    `${start}${text}Producer-Id: ${nasty}\r\nProducer-Epoch: 0\r\nProducer-Seq: 7\r\n${hello}`,
    `${start}${text}If-Match: "x${nasty}"\r\nContent-Length: 5\r\n\r\nhello`,
    `${start}${text}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${start}${text}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
    `${start}${text}Content-Length: 500\r\n\r\nhello`,
    `${start}${text}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    `${start}${text}Transfer-Encoding: chunked\r\n\r\nq\r\nhello\r\n0\r\n\r\n`,
    `PUT ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: other/type\r\n${hello}`,
    `PUT ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nStream-TTL: x${nasty}\r\nContent-Length: 0\r\n\r\n`,
    `PATCH ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello`,
    `DELETE ${path}/. HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
    `DELETE ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\r\n b\r\n\r\n`,
    `DELETE ${path} HTTP/3.0\r\nHost: 127.0.0.1\r\n\r\n`,
  ])
}

/** One malformed (or by luck well-formed) request. */
export function malformed(random: Random, protectedPaths: readonly string[]): Buffer {
  const scratch = `/v1/stream/scratch/${random.int(0, 40)}`
  const host = 'Host: 127.0.0.1\r\n'
  switch (random.int(0, 9)) {
    case 0:
    case 1:
    case 2:
      return bend(random, valid(random))
    case 3: {
      const request = valid(random).toString('latin1')
      const lineEnd = request.indexOf('\r\n') + 2
      let lines = ''
      for (let n = random.int(1, 3); n > 0; --n) lines += `${header(random)}\r\n`
      return Buffer.from(request.slice(0, lineEnd) + lines + request.slice(lineEnd), 'latin1')
    }
    case 4:
      return Buffer.from(`${random.pick(kRequestLines)}\r\n${host}\r\n`, 'latin1')
    case 5: {
      const method = random.pick(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'BREW'])
      const rest = `${host}Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx`
      return Buffer.from(`${method} ${random.pick(kPaths)} HTTP/1.1\r\n${rest}`, 'latin1')
    }
    case 6: {
      const target = `${random.pick(protectedPaths)}?${random.pick(kQueries)}`
      return Buffer.from(`GET ${target} HTTP/1.1\r\n${host}${header(random)}\r\n\r\n`, 'latin1')
    }
    case 7: {
      const type = random.pick([
        'application/json',
        'text/plain',
        '',
        '/',
        'a/b; c="',
        'application/json;',
      ])
      if (random.chance(0.5)) {
        const body = Buffer.from(random.pick(kBodies), 'latin1')
        const head = `POST ${scratch} HTTP/1.1\r\n${host}Content-Type: ${type}\r\n`
        return Buffer.concat([
          Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`, 'latin1'),
          body,
        ])
      }
      const head = `POST ${scratch} HTTP/1.1\r\n${host}Content-Type: ${type}\r\n`
      const coding = 'Transfer-Encoding: chunked'
      return Buffer.from(`${head}${coding}\r\n\r\n${random.pick(kChunkedBodies)}`, 'latin1')
    }
    case 8:
      return Buffer.from(refusedWrite(random, random.pick(protectedPaths)), 'latin1')
    default:
      switch (random.int(0, 3)) {
        case 0:
          return random.bytes(random.int(1, 600))
        case 1:
          return Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')
        case 2:
          return Buffer.concat([
            Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]),
            random.bytes(300),
          ])
        default: {
          const many = Array.from(
            { length: random.int(1, 600) },
            (_, i) => `X-${i}: ${i}\r\n`,
          ).join('')
          return Buffer.from(`GET ${random.pick(protectedPaths)} HTTP/1.1\r\n${host}${many}\r\n`)
        }
      }
  }
}
