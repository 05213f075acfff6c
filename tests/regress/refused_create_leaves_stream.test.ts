// The Cloudflare implementation creates the stream first and looks at the rest of the request
// afterwards: a 400 leaves an empty stream behind, which later creates find in their way.
import { describe, expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { get, kJson, kText, put } from '../lib/http.ts'

const server = useServer({ args: ['--max-body-bytes', '64KiB'] })

const kBad: [string, number, Record<string, string>, string | undefined][] = [
  ['invalid JSON', 400, kJson, '[1, 2'],
  ['an invalid second message', 400, kJson, '[1, nope]'],
  ['half of a producer', 400, { ...kText, 'Producer-Id': 'p' }, 'x'],
  [
    'a bad producer epoch',
    400,
    { ...kText, 'Producer-Id': 'p', 'Producer-Epoch': 'x', 'Producer-Seq': '0' },
    'x',
  ],
  ['a bad TTL', 400, { ...kText, 'Stream-TTL': 'soon' }, 'x'],
  ['a bad date', 400, { ...kText, 'Stream-Expires-At': 'soon' }, 'x'],
  [
    'TTL and date',
    400,
    { ...kText, 'Stream-TTL': '9', 'Stream-Expires-At': '2100-01-01T00:00:00Z' },
    'x',
  ],
  ['a bad content type', 400, { 'Content-Type': 'nonsense' }, 'x'],
  ['a body that is too large', 413, kText, 'x'.repeat(100_000)],
  ['a fork of nothing', 404, { 'Stream-Forked-From': '/v1/stream/no-such-stream' }, undefined],
]

describe('no trace is left of a create with', () => {
  for (const [what, status, headers, body] of kBad) {
    test(what, async () => {
      const url = server().url(freshName())
      expect((await put(url, headers, body)).status).toBe(status)
      expect((await get(url)).status).toBe(404)
      const other = await put(url, { 'Content-Type': 'application/x-other' }, 'fine')
      expect(other.status).toBe(201)
      expect((await get(url)).text).toBe('fine')
    })
  }
})
