// The Cloudflare implementation answers a producer's retry with its newest offset, so that nobody
// can tell where the retried data went. Caddy's file store and Electric's WAL refuse retries after
// a crash ("sequence gap"): producers and data are not one op. Here a retry gets its own offset.
import { expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { get, head, kText, nextOffset, post, producer, put, type Answer } from '../lib/http.ts'

const server = useServer()
const kReceipts = 32

function append(url: string, seq: number, epoch = 0, body = `${seq};`): Promise<Answer> {
  return post(url, body, { ...kText, ...producer('p', epoch, seq) })
}

test('a retry is answered with its own offset, and the newest sequence', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  const offsets: string[] = []
  for (let seq = 0; seq < 10; ++seq) offsets.push(nextOffset(await append(url, seq)))
  for (const crash of [false, true]) {
    if (crash) {
      await server().kill()
      await server().restart()
    }
    for (let seq = 0; seq < 10; ++seq) {
      const retry = await append(url, seq)
      expect(retry.status).toBe(204)
      expect(nextOffset(retry), `seq ${seq}`).toBe(offsets[seq])
      expect(retry.headers.get('producer-seq')).toBe('9')
      expect(retry.headers.get('producer-epoch')).toBe('0')
    }
  }
  expect((await get(url)).text).toBe('0;1;2;3;4;5;6;7;8;9;')
})

test('the last 32 receipts are kept; a forgotten one is answered with the tail', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  const offsets: string[] = []
  for (let seq = 0; seq < kReceipts + 8; ++seq) offsets.push(nextOffset(await append(url, seq)))
  const tail = offsets.at(-1)
  for (let seq = 8; seq < kReceipts + 8; ++seq) {
    expect(nextOffset(await append(url, seq)), `seq ${seq}`).toBe(offsets[seq])
  }
  const forgotten = await append(url, 0)
  expect(forgotten.status).toBe(204)
  expect([offsets[0], tail]).toContain(nextOffset(forgotten))
})

test('a retry is a duplicate before If-Match and Stream-Seq are looked at', async () => {
  const url = server().url(freshName())
  const start = nextOffset(await put(url, kText))
  const headers = { ...kText, ...producer('p', 0, 0), 'Stream-Seq': 'a', 'If-Match': `"${start}"` }
  const first = await post(url, 'once', headers)
  expect(first.status).toBe(200)
  await post(url, ', then more', { ...kText, 'Stream-Seq': 'z' })
  const retry = await post(url, 'once', headers)
  expect(retry.status).toBe(204)
  expect(nextOffset(retry)).toBe(nextOffset(first))
  expect((await get(url)).text).toBe('once, then more')
})

test('requests that arrive out of order are told the sequence that is missing', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  const early = await append(url, 1)
  expect(early.status).toBe(409)
  expect(early.headers.get('producer-expected-seq')).toBe('0')
  expect((await append(url, 0)).status).toBe(200)
  expect((await append(url, 1)).status).toBe(200)
  expect((await get(url)).text).toBe('0;1;')
})

test('equal requests at the same time are stored once', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  for (let seq = 0; seq < 20; ++seq) {
    const answers = await Promise.all(Array.from({ length: 8 }, () => append(url, seq)))
    expect(answers.filter((answer) => answer.status === 200).length).toBe(1)
    expect(answers.filter((answer) => answer.status === 204).length).toBe(7)
    expect(new Set(answers.map(nextOffset)).size).toBe(1)
  }
  const expected = Array.from({ length: 20 }, (_, seq) => `${seq};`).join('')
  expect((await get(url)).text).toBe(expected)
})

test('a newer epoch fences the older one, and stays in force after a crash', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  await append(url, 0, 1)
  expect((await append(url, 0, 2)).status).toBe(200)
  await server().kill()
  await server().restart()
  const zombie = await append(url, 1, 1)
  expect(zombie.status).toBe(403)
  expect(zombie.headers.get('producer-epoch')).toBe('2')
  expect((await append(url, 1, 2)).status).toBe(200)
  expect(nextOffset(await head(url)).endsWith('0000000000000006')).toBe(true)
})
