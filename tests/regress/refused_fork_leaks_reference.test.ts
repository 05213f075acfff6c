// durable-streams/durable-streams#376: behind a conformance suite that silently skipped half of
// itself, a fork refused for its content type was a 500 that kept its reference, so that the source
// could never be deleted again.
import { describe, expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshName, useServer } from '../lib/fixture.ts'
import { del, get, head, kJson, kText, nextOffset, post, put } from '../lib/http.ts'

/** Clean-up over several streams may take a moment (PROTOCOL §4.2). */
async function eventually(url: string, status: number): Promise<void> {
  for (let tries = 0; tries < 100; ++tries) {
    if ((await get(url)).status === status) return
    await sleep(20)
  }
  expect((await get(url)).status).toBe(status)
}

describe.each([1, 4])('--threads %i', (threads) => {
  const server = useServer({ threads })
  const from = (name: string): Record<string, string> => ({
    'Stream-Forked-From': `/v1/stream/${name}`,
  })

  test('refused forks leave nothing behind, neither a stream nor a reference', async () => {
    const name = freshName()
    const source = server().url(name)
    const target = server().url(freshName())
    const taken = server().url(freshName())
    const start = nextOffset(await put(source, kText))
    const tail = nextOffset(await post(source, 'hello'))
    await put(taken, kJson)
    const beyond = tail.slice(0, 17) + '0000000000000999'
    const refused: [number, string, Record<string, string>][] = [
      [409, target, { ...from(name), ...kJson }],
      [400, target, { ...from(name), 'Stream-Fork-Offset': beyond }],
      [400, target, { ...from(name), 'Stream-Fork-Offset': start, 'Stream-Fork-Sub-Offset': '6' }],
      [400, target, { ...from(name), 'Stream-TTL': 'x' }],
      [409, taken, from(name)],
    ]
    for (let round = 0; round < 3; ++round) {
      for (const [status, url, headers] of refused) {
        expect((await put(url, headers)).status).toBe(status)
      }
    }
    expect((await get(target)).status).toBe(404)
    expect((await del(source)).status).toBe(204)
    expect((await get(source)).status).toBe(404)
    expect((await put(source, kJson)).status).toBe(201)
  })

  test('a soft-deleted stream is 410 and goes with its last fork, up the chain', async () => {
    const [a, b, c] = [freshName(), freshName(), freshName()]
    const url = (name: string): string => server().url(name)
    await put(url(a), kText, 'a')
    await put(url(b), from(a))
    await post(url(b), 'b')
    await put(url(c), from(b))
    await post(url(c), 'c')
    expect((await del(url(a))).status).toBe(204)
    expect((await del(url(b))).status).toBe(204)
    for (const name of [a, b]) {
      expect((await get(url(name))).status).toBe(410)
      expect((await head(url(name))).status).toBe(410)
      expect((await post(url(name), 'x')).status).toBe(410)
      expect((await del(url(name))).status).toBe(410)
      expect((await put(url(name), kText)).status).toBe(409)
    }
    expect((await get(url(c))).text).toBe('abc')
    expect((await del(url(c))).status).toBe(204)
    for (const name of [a, b, c]) await eventually(url(name), 404)
    for (const name of [a, b, c]) expect((await put(url(name), kJson)).status).toBe(201)
  })

  test('repeating a fork takes one reference, also when the source has grown since', async () => {
    const [source, fork] = [freshName(), freshName()]
    await put(server().url(source), kText, 'x')
    expect((await put(server().url(fork), from(source))).status).toBe(201)
    await post(server().url(source), 'y')
    for (let i = 0; i < 3; ++i)
      expect((await put(server().url(fork), from(source))).status).toBe(200)
    expect((await get(server().url(fork))).text).toBe('x')
    expect((await del(server().url(fork))).status).toBe(204)
    await eventually(server().url(fork), 404)
    await del(server().url(source))
    await eventually(server().url(source), 404)
  })

  test('forks made at the same time as their source is deleted are whole or refused', async () => {
    for (let round = 0; round < 20; ++round) {
      const source = freshName()
      await put(server().url(source), kText, 'content')
      const forks = Array.from({ length: 6 }, freshName)
      const [deleted, ...made] = await Promise.all([
        del(server().url(source)),
        ...forks.map((name) => put(server().url(name), from(source))),
      ])
      expect(deleted.status).toBe(204)
      for (const [i, answer] of made.entries()) {
        const seen = await get(server().url(forks[i] as string))
        if (answer.status === 201) expect(seen.text).toBe('content')
        else {
          expect([404, 409]).toContain(answer.status)
          expect(seen.status).toBe(404)
        }
        if (answer.status === 201) await del(server().url(forks[i] as string))
      }
      await eventually(server().url(source), 404)
    }
  })
})
