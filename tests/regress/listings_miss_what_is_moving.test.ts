// A listing is put together from the catalog and from what is not sealed yet. While everything is
// sealed and forgotten all the time, and over restarts, it must show what is there and nothing else.
import { expect, test } from 'vitest'
import { close, del, errorCode, get, head, kText, nextOffset, post, put, send } from '../lib/http.ts'
import { Random, runSeed } from '../lib/random.ts'
import { Server } from '../lib/server.ts'

const kTiny = [
  ...['--generation-size', '64KiB', '--seal-after', '100ms', '--evict-after', '0s'],
  ...['--max-body-bytes', '64KiB'],
]

interface Listed {
  path: string
  content_type: string
  next_offset: string
  closed: boolean
  ttl_seconds?: number
}

interface Page {
  streams: Listed[]
  next?: string
}

async function page(server: Server, project: string, query: Record<string, string>): Promise<Page> {
  const text = new URLSearchParams(query).toString()
  const answer = await get(`${server.origin}/v1/streams/${project}?${text}`)
  expect(answer.status, answer.text).toBe(200)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.headers.get('content-type')).toBe('application/json')
  return JSON.parse(answer.text) as Page
}

/** All pages, each of which but the last must be full. */
async function list(server: Server, prefix: string, limit: number): Promise<Listed[]> {
  const all: Listed[] = []
  let after = ''
  for (;;) {
    const { streams, next } = await page(server, 'p', { prefix, after, limit: String(limit) })
    all.push(...streams)
    if (next === undefined) return all
    expect(streams.length).toBe(limit)
    expect(next).toBe(streams.at(-1)?.path)
    after = next
  }
}

interface Wanted {
  next_offset: string
  closed: boolean
}

async function expectModel(server: Server, model: Map<string, Wanted>): Promise<void> {
  for (const [prefix, limit] of [
    ['', 1000],
    ['', 7],
    ['b/', 3],
    ['a/1', 2],
  ] as const) {
    const wanted = [...model]
      .filter(([path]) => path.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, facts]) => ({ path, content_type: 'text/plain', ...facts }))
    expect(await list(server, prefix, limit)).toEqual(wanted)
  }
}

for (const threads of [1, 4]) {
  test(`what is listed is what is there, with ${threads} threads`, async () => {
    const random = new Random(runSeed())
    const below = (end: number): number => random.int(0, end - 1)
    const server = await Server.start({ threads, args: kTiny })
    try {
      const model = new Map<string, Wanted>()
      const names = Array.from({ length: 60 }, (_, i) => `${'abc'[i % 3]}/${i}`)
      for (let round = 0; round < 12; ++round) {
        for (let step = 0; step < 40; ++step) {
          const name = names[below(names.length)] ?? ''
          const url = server.url(`p/${name}`)
          const known = model.get(name)
          if (known === undefined) {
            const made = await put(url, kText, 'x'.repeat(below(3000)))
            expect(made.status).toBe(201)
            model.set(name, { next_offset: nextOffset(made), closed: false })
          } else if (below(3) === 0) {
            expect((await del(url)).status).toBe(204)
            model.delete(name)
          } else if (!known.closed) {
            const closes = below(5) === 0
            const done = closes ? await close(url) : await post(url, 'y'.repeat(2000))
            expect(done.status).toBe(204)
            model.set(name, { next_offset: nextOffset(done), closed: closes })
          }
        }
        await expectModel(server, model)
        if (round % 4 === 3) {
          if (round === 7) await server.kill()
          else await server.terminate()
          await server.restart()
          await expectModel(server, model)
        }
      }
    } finally {
      await server.stop()
    }
  })
}

test('memory durability lists too', async () => {
  const server = await Server.start({ args: ['--durability', 'memory'] })
  try {
    for (const name of ['b', 'a', 'c']) await put(server.url(`p/${name}`), kText)
    await del(server.url('p/b'))
    expect((await list(server, '', 1)).map(({ path }) => path)).toEqual(['a', 'c'])
    await put(server.url('alone'), kText)
    expect((await page(server, '_default', {})).streams.map(({ path }) => path)).toEqual(['alone'])
    expect(await page(server, 'nobody', {})).toEqual({ streams: [] })
  } finally {
    await server.stop()
  }
})

test('spellings, values that are refused, methods', async () => {
  const server = await Server.start()
  try {
    expect((await put(server.url('p/a!b/%C3%A9'), { ...kText, 'Stream-TTL': '9' })).status).toBe(201)
    const only = (await page(server, 'p', { prefix: 'a!b/' })).streams
    expect(only.map(({ path, ttl_seconds }) => [path, ttl_seconds])).toEqual([['a%21b/%C3%A9', 9]])
    expect((await page(server, 'p', { prefix: 'a%21b/é' })).streams).toEqual(only)
    expect((await page(server, 'p', { after: only[0]?.path ?? '' })).streams).toEqual([])
    const root = `${server.origin}/v1/streams`
    for (const query of [
      ...['limit=0', 'limit=1001', 'limit=x', 'limit=', 'limit=1&limit=2', 'prefix=%2', 'prefix=%252'],
      ...['prefix=a&prefix=b', 'prefix=/a', 'prefix=../a', 'after=a%00', 'after=%5C', 'after=%3F'],
    ]) {
      const refused = await get(`${root}/p?${query}`)
      expect([query, refused.status]).toEqual([query, 400])
      expect(errorCode(refused)).toBe('invalid_listing')
    }
    expect(errorCode(await get(`${root}/__ds`))).toBe('reserved_path')
    expect(errorCode(await get(`${root}/`))).toBe('invalid_path')
    expect(errorCode(await get(`${root}/p/q`))).toBe('not_found')
    const bare = await head(`${root}/p`)
    expect([bare.status, bare.text]).toEqual([200, ''])
    expect((await send('OPTIONS', `${root}/p`)).status).toBe(204)
    const put405 = await send('PUT', `${root}/p`)
    expect([put405.status, put405.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
  } finally {
    await server.stop()
  }
})
