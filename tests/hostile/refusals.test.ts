// Every 4xx that the server knows is produced at least once: status, code, headers, and no change.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeRequest, exchange, RawConnection, type RawAnswer } from '../lib/raw.ts'
import { Server } from '../lib/server.ts'
import { expectRefusal } from './answers.ts'

const kRoot = '/v1/stream/'
const kLife = '0000000000000007_0000000000000000'
const kText = { 'Content-Type': 'text/plain' }
const kJson = { 'Content-Type': 'application/json' }

interface Row {
  status: number
  code: string
  /** What is wrong, where one code has several causes. */
  what?: string
  method?: string
  path: string
  headers?: Record<string, string>
  body?: string
  /** Header lines that no object can hold. */
  lines?: string
}

const producer = (epoch: string, seq: string, id = 'p'): Record<string, string> => ({
  ...kText,
  'Producer-Id': id,
  'Producer-Epoch': epoch,
  'Producer-Seq': seq,
})

const fork = (from: string, more: Record<string, string> = {}): Record<string, string> => ({
  'Stream-Forked-From': `${kRoot}${from}`,
  ...more,
})

// Streams that exist: text ("hello" by producer p, epoch 3, seq 0 and 1; Stream-Seq "b"), json,
// closed, deleted (with a fork).
const kRows: Row[] = [
  { status: 400, code: 'invalid_path', what: 'parent', path: 'a/../b' },
  { status: 400, code: 'invalid_path', what: 'escaped parent', path: 'a/%2E%2e/b' },
  { status: 400, code: 'invalid_path', what: 'itself', path: 'a/./b' },
  { status: 400, code: 'invalid_path', what: 'empty segment', path: 'a//b' },
  { status: 400, code: 'invalid_path', what: 'broken escape', path: 'a%2' },
  { status: 400, code: 'invalid_path', what: 'escaped control character', path: 'a%00' },
  { status: 400, code: 'invalid_path', what: 'escaped line end', path: 'a%0d%0ab' },
  { status: 400, code: 'invalid_path', what: 'backslash', path: 'a%5Cb' },
  { status: 400, code: 'invalid_path', what: 'too long', path: 'a'.repeat(1100) },
  { status: 400, code: 'invalid_query', what: 'live mode', path: 'text?offset=-1&live=forever' },
  { status: 400, code: 'invalid_offset', what: 'garbage', path: 'text?offset=garbage' },
  { status: 400, code: 'invalid_offset', what: 'empty', path: 'text?offset=' },
  { status: 400, code: 'invalid_offset', what: 'repeated', path: 'text?offset=-1&offset=-1' },
  { status: 400, code: 'invalid_offset', what: 'negative', path: 'text?offset=-2' },
  { status: 400, code: 'offset_required', what: 'sse', path: 'text?live=sse' },
  { status: 400, code: 'offset_required', what: 'long-poll', path: 'text?live=long-poll' },
  {
    status: 400,
    code: 'invalid_header',
    what: 'Stream-Seq too long',
    method: 'POST',
    path: 'text',
    headers: { ...kText, 'Stream-Seq': 's'.repeat(1025) },
    body: 'x',
  },
  {
    status: 400,
    code: 'invalid_header',
    what: 'If-Match without quotes',
    method: 'POST',
    path: 'text',
    headers: { ...kText, 'If-Match': 'abc' },
    body: 'x',
  },
  {
    status: 400,
    code: 'repeated_header',
    what: 'Producer-Seq',
    method: 'POST',
    path: 'text',
    headers: producer('3', '2'),
    lines: 'Producer-Seq: 3\r\n',
    body: 'x',
  },
  {
    status: 400,
    code: 'repeated_header',
    what: 'Stream-TTL',
    method: 'PUT',
    path: 'new',
    headers: { 'Stream-TTL': '5' },
    lines: 'stream-ttl: 6\r\n',
  },
  { status: 400, code: 'missing_content_type', method: 'POST', path: 'text', body: 'x' },
  {
    status: 400,
    code: 'invalid_content_type',
    what: 'no slash',
    method: 'PUT',
    path: 'new',
    headers: { 'Content-Type': 'text' },
  },
  {
    status: 400,
    code: 'invalid_content_type',
    what: 'too long',
    method: 'PUT',
    path: 'new',
    headers: { 'Content-Type': `text/${'x'.repeat(300)}` },
  },
  { status: 400, code: 'empty_body', method: 'POST', path: 'text', headers: kText, body: '' },
  {
    status: 400,
    code: 'invalid_json',
    what: 'syntax',
    method: 'POST',
    path: 'json',
    headers: kJson,
    body: '{"a":1,}',
  },
  {
    status: 400,
    code: 'invalid_json',
    what: 'second element',
    method: 'POST',
    path: 'json',
    headers: kJson,
    body: '[1, nope]',
  },
  {
    status: 400,
    code: 'invalid_json',
    what: 'on create',
    method: 'PUT',
    path: 'new',
    headers: kJson,
    body: '{',
  },
  { status: 400, code: 'empty_array', method: 'POST', path: 'json', headers: kJson, body: ' [ ] ' },
  {
    status: 400,
    code: 'json_too_deep',
    method: 'POST',
    path: 'json',
    headers: kJson,
    body: '['.repeat(600) + ']'.repeat(600),
  },
  ...['-1', '+1', '1.5', '1e3', '007', ' ', 'x', '18446744073709551615', '99999999999999'].map(
    (ttl): Row => ({
      status: 400,
      code: 'invalid_ttl',
      what: ttl,
      method: 'PUT',
      path: 'new',
      headers: { 'Stream-TTL': ttl },
    }),
  ),
  ...['tomorrow', '2030-13-01T00:00:00Z', '2030-01-01', '1893456000'].map((at): Row => ({
    status: 400,
    code: 'invalid_expires_at',
    what: at,
    method: 'PUT',
    path: 'new',
    headers: { 'Stream-Expires-At': at },
  })),
  ...['Stream-Max-Age', 'Stream-Max-Bytes'].flatMap((name) =>
    ['0', '-1', '1.5', '1e3', '007', ' ', 'x', '18446744073709551615'].map((value): Row => ({
      status: 400,
      code: 'invalid_retention',
      what: `${name} ${value}`,
      method: 'PUT',
      path: 'new',
      headers: { [name]: value },
    })),
  ),
  {
    status: 400,
    code: 'ttl_and_expires_at',
    method: 'PUT',
    path: 'new',
    headers: { 'Stream-TTL': '5', 'Stream-Expires-At': '2050-01-01T00:00:00Z' },
  },
  {
    status: 400,
    code: 'incomplete_producer',
    method: 'POST',
    path: 'text',
    headers: { ...kText, 'Producer-Id': 'p', 'Producer-Seq': '2' },
    body: 'x',
  },
  {
    status: 400,
    code: 'invalid_producer',
    what: 'epoch',
    method: 'POST',
    path: 'text',
    headers: producer('one', '2'),
    body: 'x',
  },
  {
    status: 400,
    code: 'invalid_producer',
    what: 'sequence over 2^53 - 1',
    method: 'POST',
    path: 'text',
    headers: producer('3', '9007199254740992'),
    body: 'x',
  },
  {
    status: 400,
    code: 'invalid_producer',
    what: 'long id',
    method: 'POST',
    path: 'text',
    headers: producer('3', '2', 'p'.repeat(257)),
    body: 'x',
  },
  {
    status: 400,
    code: 'invalid_producer',
    what: 'id of bytes over 127',
    method: 'POST',
    path: 'text',
    headers: producer('3', '2', 'p\xe9'),
    body: 'x',
  },
  {
    status: 400,
    code: 'new_epoch_not_at_zero',
    method: 'POST',
    path: 'text',
    headers: producer('4', '1'),
    body: 'x',
  },
  {
    status: 400,
    code: 'invalid_fork_offset',
    what: 'garbage',
    method: 'PUT',
    path: 'new',
    headers: fork('text', { 'Stream-Fork-Offset': 'x' }),
  },
  {
    status: 400,
    code: 'invalid_fork_offset',
    what: 'now',
    method: 'PUT',
    path: 'new',
    headers: fork('text', { 'Stream-Fork-Offset': 'now' }),
  },
  {
    status: 400,
    code: 'invalid_fork_sub_offset',
    what: 'negative',
    method: 'PUT',
    path: 'new',
    headers: fork('text', { 'Stream-Fork-Sub-Offset': '-1' }),
  },
  {
    status: 400,
    code: 'fork_sub_offset_beyond_message',
    method: 'PUT',
    path: 'new',
    headers: fork('text', {
      'Stream-Fork-Offset': '0000000000000000_0000000000000000',
      'Stream-Fork-Sub-Offset': '99',
    }),
  },
  {
    status: 400,
    code: 'fork_header_without_source',
    what: 'sub-offset 0',
    method: 'PUT',
    path: 'new',
    headers: { 'Stream-Fork-Sub-Offset': '0' },
  },
  {
    status: 400,
    code: 'invalid_fork_source',
    what: 'no stream URL',
    method: 'PUT',
    path: 'new',
    headers: { 'Stream-Forked-From': '/elsewhere' },
  },
  {
    status: 400,
    code: 'invalid_fork_source',
    what: 'another project',
    method: 'PUT',
    path: 'new',
    headers: fork('other/text'),
  },
  { status: 404, code: 'reserved_path', what: 'of the root', path: '__ds/subscriptions/x' },
  { status: 404, code: 'reserved_path', what: 'of a project', path: 'p/__ds/x', method: 'PUT' },
  {
    status: 403,
    code: 'producer_fenced',
    method: 'POST',
    path: 'text',
    headers: producer('2', '0'),
    body: 'x',
  },
  ...['GET', 'POST', 'DELETE'].map((method): Row => ({
    status: 404,
    code: 'not_found',
    what: method,
    method,
    path: 'nothing',
    headers: kText,
    ...(method === 'POST' ? { body: 'x' } : {}),
  })),
  {
    status: 404,
    code: 'fork_source_not_found',
    method: 'PUT',
    path: 'new',
    headers: fork('nothing'),
  },
  { status: 405, code: 'method_not_allowed', method: 'PATCH', path: 'text', body: 'x' },
  {
    status: 409,
    code: 'stream_exists',
    what: 'other type',
    method: 'PUT',
    path: 'text',
    headers: kJson,
  },
  {
    status: 409,
    code: 'path_held',
    what: 'by a soft-deleted stream',
    method: 'PUT',
    path: 'deleted',
    headers: kText,
  },
  {
    status: 409,
    code: 'stream_closed',
    method: 'POST',
    path: 'closed',
    headers: kText,
    body: 'x',
  },
  {
    status: 409,
    code: 'stream_closed',
    what: 'before the type is compared',
    method: 'POST',
    path: 'closed',
    headers: { 'Content-Type': 'image/png' },
    body: 'x',
  },
  {
    status: 409,
    code: 'content_type_mismatch',
    method: 'POST',
    path: 'text',
    headers: { 'Content-Type': 'text/html' },
    body: 'x',
  },
  {
    status: 409,
    code: 'content_type_mismatch',
    what: 'of a fork',
    method: 'PUT',
    path: 'new',
    headers: fork('text', { 'Content-Type': 'text/html' }),
  },
  {
    status: 409,
    code: 'sequence_gap',
    method: 'POST',
    path: 'text',
    headers: producer('3', '5'),
    body: 'x',
  },
  {
    status: 409,
    code: 'sequence_regression',
    what: 'equal',
    method: 'POST',
    path: 'text',
    headers: { ...kText, 'Stream-Seq': 'b' },
    body: 'x',
  },
  {
    status: 409,
    code: 'sequence_regression',
    what: 'smaller',
    method: 'POST',
    path: 'text',
    headers: { ...kText, 'Stream-Seq': 'a9' },
    body: 'x',
  },
  ...['GET', 'POST', 'DELETE'].map((method): Row => ({
    status: 410,
    code: 'stream_deleted',
    what: method,
    method,
    path: 'deleted',
    headers: kText,
    ...(method === 'POST' ? { body: 'x' } : {}),
  })),
  {
    status: 409,
    code: 'fork_source_deleted',
    method: 'PUT',
    path: 'new',
    headers: fork('deleted'),
  },
  { status: 410, code: 'offset_gone', path: `text?offset=${kLife}` },
  {
    status: 412,
    code: 'precondition_failed',
    method: 'POST',
    path: 'text',
    headers: { ...kText, 'If-Match': `"${kLife}"` },
    body: 'x',
  },
  { status: 414, code: 'uri_too_long', path: 'a'.repeat(10_000) },
  {
    status: 417,
    code: 'expectation_failed',
    method: 'POST',
    path: 'text',
    headers: { ...kText, Expect: 'miracles' },
    body: 'x',
  },
  {
    status: 431,
    code: 'headers_too_large',
    path: 'text',
    headers: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`X-${i}`, 'h'.repeat(4000)])),
  },
  { status: 400, code: 'malformed_request', path: 'text', lines: 'no colon\r\n' },
]

// Produced by tests of their own below.
const kElsewhere = [
  'body_too_large',
  'request_timeout',
  'fork_offset_beyond_tail',
  'offset_trimmed',
  'too_many_streams',
  'invalid_listing',
]
// Nothing can cause it: a POST without a length has no body in HTTP/1.1 (RFC 9112 §6.3).
const kUnreachable = ['length_required']

const kBodyBytesMax = 1024

let server: Server

async function ask(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<RawAnswer> {
  const connection = await RawConnection.open(server.port)
  const answer = await connection.request(method, kRoot + path, headers, body)
  connection.close()
  return answer
}

async function contents(): Promise<string> {
  const parts: string[] = []
  for (const name of ['text', 'json', 'closed', 'child', 'new']) {
    const { status, headers, body } = await ask('GET', name)
    parts.push(`${name} ${status} ${headers.get('etag')} ${body.toString()}`)
  }
  return parts.join('\n')
}

beforeAll(async () => {
  server = await Server.start()
  await ask('PUT', 'text', kText)
  await ask('POST', 'text', producer('3', '0'), 'hel')
  await ask('POST', 'text', { ...producer('3', '1'), 'Stream-Seq': 'b' }, 'lo')
  await ask('PUT', 'json', kJson, '[{"a":1}]')
  await ask('PUT', 'closed', { ...kText, 'Stream-Closed': 'true' }, 'end')
  await ask('PUT', 'deleted', kText, 'gone')
  await ask('PUT', 'child', fork('deleted'))
  expect((await ask('DELETE', 'deleted')).status).toBe(204)
})

afterAll(() => server.stop())

describe('every refusal', () => {
  for (const row of kRows) {
    test(`${row.status} ${row.code}${row.what === undefined ? '' : `: ${row.what}`}`, async () => {
      const before = await contents()
      const method = row.method ?? 'GET'
      let bytes = encodeRequest(method, kRoot + row.path, row.headers, row.body)
      if (row.lines !== undefined) {
        const end = bytes.indexOf('\r\n') + 2
        bytes = Buffer.concat([bytes.subarray(0, end), Buffer.from(row.lines), bytes.subarray(end)])
      }
      const { answers } = await exchange(server.port, bytes, { count: 1 })
      expect(answers.length).toBe(1)
      expectRefusal(answers[0] as RawAnswer, row.status, row.code)
      expect(await contents()).toBe(before)
    })
  }

  test('every 4xx code of the server has a row', () => {
    const source = readFileSync(resolve(import.meta.dirname, '../../core/wire/errors.cc'), 'utf8')
    const codes = [...source.matchAll(/\{"([a-z_]+)",\s*(4\d\d),/g)].map(([, code]) => code ?? '')
    expect(codes.length).toBeGreaterThan(30)
    const covered = new Set([...kRows.map((row) => row.code), ...kElsewhere, ...kUnreachable])
    expect(codes.filter((code) => !covered.has(code))).toEqual([])
  })
})

describe('what refusals carry', () => {
  test('405 names the methods that are allowed', async () => {
    const answer = await ask('PATCH', 'text')
    for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE']) {
      expect(answer.headers.get('allow')).toContain(method)
    }
  })

  test('409 on a closed stream tells that and where it ends', async () => {
    const tail = (await ask('HEAD', 'closed')).headers.get('stream-next-offset')
    const answer = await ask('POST', 'closed', kText, 'x')
    expect(answer.headers.get('stream-closed')).toBe('true')
    expect(answer.headers.get('stream-next-offset')).toBe(tail)
  })

  test('403 tells the epoch that rules', async () => {
    const answer = await ask('POST', 'text', producer('2', '0'), 'x')
    expect(answer.headers.get('producer-epoch')).toBe('3')
  })

  test('409 for a gap tells the sequence expected and received', async () => {
    const answer = await ask('POST', 'text', producer('3', '5'), 'x')
    expect(answer.headers.get('producer-expected-seq')).toBe('2')
    expect(answer.headers.get('producer-received-seq')).toBe('5')
  })

  test('412 tells the tail', async () => {
    const tail = (await ask('HEAD', 'text')).headers.get('stream-next-offset')
    const answer = await ask('POST', 'text', { ...kText, 'If-Match': `"${kLife}"` }, 'x')
    expect(answer.headers.get('stream-next-offset')).toBe(tail)
  })

  test('a fork beyond the tail of its source is refused', async () => {
    const tail = (await ask('HEAD', 'text')).headers.get('stream-next-offset') ?? ''
    const beyond = tail.slice(0, 17) + String(Number(tail.slice(17)) + 5).padStart(16, '0')
    const answer = await ask('PUT', 'new', fork('text', { 'Stream-Fork-Offset': beyond }))
    expectRefusal(answer, 400, 'fork_offset_beyond_tail')
    expect((await ask('GET', 'new')).status).toBe(404)
  })
})

describe('limits', () => {
  let limited: Server
  beforeAll(async () => {
    limited = await Server.start({
      args: [
        '--max-body-bytes',
        String(kBodyBytesMax),
        '--body-timeout',
        '500ms',
        '--head-timeout',
        '500ms',
      ],
    })
  })
  afterAll(() => limited.stop())

  const post = `POST ${kRoot}limited HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n`

  test('413 for a body that is announced too large, before it is sent', async () => {
    await fetch(limited.url('limited'), { method: 'PUT', headers: kText })
    const request = `${post}Content-Length: ${kBodyBytesMax + 1}\r\n\r\n`
    const { answers } = await exchange(limited.port, request, { count: 1 })
    expectRefusal(answers[0] as RawAnswer, 413, 'body_too_large')
  })

  test('413 for a chunked body that grows too large', async () => {
    const chunk = `200\r\n${'x'.repeat(512)}\r\n`
    const request = `${post}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(4)}`
    const { answers } = await exchange(limited.port, request, { count: 1 })
    expectRefusal(answers[0] as RawAnswer, 413, 'body_too_large')
    expect(await (await fetch(limited.url('limited'))).text()).toBe('')
  })

  test('a body of exactly the limit is taken', async () => {
    const body = 'x'.repeat(kBodyBytesMax)
    const answer = await fetch(limited.url('limited'), { method: 'POST', headers: kText, body })
    expect(answer.status).toBe(204)
  })

  test('408 for a body that does not arrive', async () => {
    const request = `${post}Content-Length: 10\r\n\r\nhalf`
    const { answers, closed } = await exchange(limited.port, request, { waitMs: 10_000 })
    expectRefusal(answers[0] as RawAnswer, 408, 'request_timeout')
    expect(closed).toBe(true)
  })

  test('408 or a close for a head that does not arrive', async () => {
    const { answers, closed } = await exchange(limited.port, 'GET /v1/str', { waitMs: 10_000 })
    expect(closed).toBe(true)
    for (const answer of answers) expectRefusal(answer, 408, 'request_timeout')
  })
})
