// Servers that parse JSON and print it again lose what their numbers cannot hold, and refuse valid
// texts: 2^64, 1e400, lone surrogates. Here messages keep their bytes, and all valid text is valid.
import { expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { get, kJson, nextOffset, post, put, send } from '../lib/http.ts'

const server = useServer()

const kMessages = [
  '18446744073709551616',
  '1e400',
  '-0',
  '0.1000000000000000055',
  '1E+2',
  '"\\ud800"',
  '"\\u0000"',
  '"\\/\\b\\f"',
  '{"a":1,"a":2}',
  '{"b" : [ 1 ,2 ] }',
  '"é€😀"',
  '""',
  '{}',
  'null',
  'true',
  `"${'x'.repeat(100_000)}"`,
  '['.repeat(500) + ']'.repeat(500),
  '"\u2028"',
  '9'.repeat(1000),
]

test('messages keep their bytes, each alone and in one array', async () => {
  const url = server().url(freshName())
  await put(url, kJson)
  for (const message of kMessages) {
    const wrapped = message.startsWith('[') ? `[${message}]` : `  ${message}\n`
    expect((await post(url, wrapped, kJson)).status, message.slice(0, 40)).toBe(204)
  }
  expect((await get(url)).text).toBe(`[${kMessages.join(',')}]`)
  const all = server().url(freshName())
  await put(all, kJson, `[ ${kMessages.join(' ,\t')} ]`)
  expect((await get(all)).text).toBe(`[${kMessages.join(',')}]`)
})

test('a read from any offset is a JSON array of whole messages', async () => {
  const url = server().url(freshName())
  const offsets = [nextOffset(await put(url, kJson))]
  for (let i = 0; i < 10; ++i) offsets.push(nextOffset(await post(url, `[${i},${i}]`, kJson)))
  for (const [i, offset] of offsets.entries()) {
    const expected = Array.from({ length: 10 - i }, (_, k) => [i + k, i + k]).flat()
    expect(JSON.parse((await get(`${url}?offset=${offset}`)).text)).toEqual(expected)
  }
})

test('what is not JSON is refused', async () => {
  const url = server().url(freshName())
  await put(url, kJson)
  const texts = [
    '\ufeff1',
    "'x'",
    '01',
    '+1',
    '.5',
    '1.',
    '0x1',
    'NaN',
    'Infinity',
    '[1,]',
    '{"a":1,}',
    '{a:1}',
    '"\t"',
    '"\\x"',
    '"\\u12"',
    '1 2',
    '{"a"}',
    '',
    ' ',
    '/**/1',
    'True',
    '"unterminated',
    ']',
    '[1}',
  ]
  for (const text of texts) expect((await post(url, text, kJson)).status, text).toBe(400)
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0x22, 0xc0, 0x80, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
  ]) {
    expect((await send('POST', url, kJson, Uint8Array.from(bytes))).status).toBe(400)
  }
  expect((await get(url)).text).toBe('[]')
})
