// Peers answer a read with everything they have, or cut it where the reader happened to begin, so
// that no two readers ever ask for the same URL. Chunks end where every reader's chunks end.
import { expect, test } from 'vitest'
import { freshName, useServer } from '../lib/fixture.ts'
import { get, kJson, kText, nextOffset, post, positionOf, put, readAll } from '../lib/http.ts'
import { Random } from '../lib/random.ts'

const kChunk = 64 << 10
const server = useServer({ args: ['--max-chunk-bytes', String(kChunk)] })

test('answers are bounded, whole, and end at the same places for all readers', async () => {
  const url = server().url(freshName())
  const random = new Random(7)
  const starts = [nextOffset(await put(url, kText))]
  let text = ''
  for (let i = 0; i < 300; ++i) {
    const body = `${i}:`.padEnd(random.int(1, 4000), 'x')
    text += body
    starts.push(nextOffset(await post(url, body)))
  }
  const ends = new Set<string>()
  let offset = '-1'
  for (;;) {
    const answer = await get(`${url}?offset=${offset}`)
    expect(answer.bytes.length).toBeLessThan(kChunk + 4000)
    offset = nextOffset(answer)
    ends.add(offset)
    if (answer.headers.has('stream-up-to-date')) break
  }
  expect(ends.size).toBeGreaterThan(5)
  for (let i = 0; i < 40; ++i) {
    const start = random.pick(starts)
    const answer = await get(`${url}?offset=${start}`)
    expect(ends.has(nextOffset(answer)), `from ${start}`).toBe(true)
    const end = positionOf(nextOffset(answer))
    expect(answer.text).toBe(text.slice(positionOf(start), end))
  }
  expect((await readAll(url)).bytes.toString()).toBe(text)
})

test('offsets inside a message, and beyond the tail, are taken kindly', async () => {
  const url = server().url(freshName())
  await put(url, kText)
  const first = nextOffset(await post(url, 'first'))
  const tail = nextOffset(await post(url, 'second'))
  const shift = (by: number, offset: string): string =>
    offset.slice(0, 17) + String(positionOf(offset) + by).padStart(16, '0')
  expect((await get(`${url}?offset=${shift(-2, first)}`)).text).toBe('firstsecond')
  expect((await get(`${url}?offset=${shift(2, first)}`)).text).toBe('second')
  const beyond = await get(`${url}?offset=${shift(1, tail)}`)
  expect(beyond.status).toBe(200)
  expect(beyond.text).toBe('')
  expect(nextOffset(beyond)).toBe(tail)
  const poll = get(`${url}?offset=${shift(1, tail)}&live=long-poll`)
  await new Promise((done) => setTimeout(done, 50))
  await post(url, 'third')
  expect((await poll).text).toBe('third')
})

test('JSON chunks are arrays that add up', async () => {
  const url = server().url(freshName())
  await put(url, kJson)
  const fill = 'y'.repeat(1000)
  for (let i = 0; i < 200; ++i) await post(url, JSON.stringify([{ i, fill }]), kJson)
  const seen: number[] = []
  for (let offset = '-1'; ;) {
    const answer = await get(`${url}?offset=${offset}`)
    for (const { i } of JSON.parse(answer.text) as { i: number }[]) seen.push(i)
    offset = nextOffset(answer)
    if (answer.headers.has('stream-up-to-date')) break
  }
  expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i))
})
