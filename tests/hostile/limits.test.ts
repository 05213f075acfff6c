// What the operator allows is what there is, and whoever frees something can go on.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Answer, close, del, errorCode, get, kText, post, put } from '../lib/http.ts'
import { RawConnection } from '../lib/raw.ts'
import { Server } from '../lib/server.ts'

const kSealing = ['--generation-size', '64KiB', '--seal-after', '100ms', '--evict-after', '0s']

function expectRefused(answer: Answer, status: number, code: string): void {
  expect([answer.status, errorCode(answer)]).toEqual([status, code])
  expect(answer.headers.get('retry-after')).toBe('1')
}

for (const threads of [1, 4]) {
  test(`--max-streams counts exactly, over a restart too, with ${threads} threads`, async () => {
    const server = await Server.start({
      threads,
      args: ['--max-streams', '10', '--max-body-bytes', '64KiB', ...kSealing],
    })
    try {
      const statuses = await Promise.all(
        Array.from({ length: 25 }, async (_, i) => (await put(server.url(`s${i}`))).status),
      )
      expect(statuses.filter((status) => status === 201).length).toBe(10)
      expect(statuses.filter((status) => status === 429).length).toBe(15)
      const first = server.url(`s${statuses.indexOf(201)}`)
      expectRefused(await put(server.url('more')), 429, 'too_many_streams')
      // One that is there is not created.
      expect((await put(first)).status).toBe(200)
      const fork = { ...kText, 'Stream-Forked-From': new URL(first).pathname }
      expectRefused(await put(server.url('fork'), fork), 429, 'too_many_streams')
      expect((await del(first)).status).toBe(204)
      await server.kill()
      await server.restart()
      expect((await put(server.url('more'))).status).toBe(201)
      expectRefused(await put(server.url('fork')), 429, 'too_many_streams')
      await sleep(500) // sealed meanwhile, or not: it makes no difference
      expectRefused(await put(server.url('fork')), 429, 'too_many_streams')
      await server.terminate()
      await server.restart()
      expectRefused(await put(server.url('fork')), 429, 'too_many_streams')
      expect((await del(server.url('more'))).status).toBe(204)
      expect((await put(server.url('fork'))).status).toBe(201)
      const metrics = (await get(`${server.origin}/metrics`)).text
      expect(metrics).toMatch(/^ds_streams 10$/m)
    } finally {
      await server.stop()
    }
  })
}

test('--max-disk-bytes: deletes, closes and reads go on, and give room back', async () => {
  const server = await Server.start({
    args: ['--max-disk-bytes', '4MiB', '--max-body-bytes', '64KiB', ...kSealing],
  })
  try {
    const big = server.url('big')
    const small = server.url('small')
    expect((await put(big)).status).toBe(201)
    expect((await put(small)).status).toBe(201)
    // Sealing packs what can be packed, and a generation that is being sealed is there twice: full
    // is what is still full a moment later.
    const body = new Uint8Array(randomBytes(60 << 10))
    let last = await post(big, body)
    for (let round = 0, appended = 1; round < 40 && appended > 0; ++round) {
      for (appended = 0; last.status === 204 && appended < 200; ++appended) last = await post(big, body)
      await sleep(300)
      const again = await post(big, body)
      if (again.status === 204) ++appended
      last = again
    }
    expectRefused(last, 507, 'disk_limit')
    expectRefused(await put(server.url('more')), 507, 'disk_limit')
    expect((await put(small)).status).toBe(200)
    expect((await close(small)).status).toBe(204)
    expect((await get(`${big}?offset=-1`)).status).toBe(200)
    expect((await del(big)).status).toBe(204)
    // Once the deletion has been sealed.
    const deadline = Date.now() + 20_000
    let made = await put(server.url('more'))
    for (; made.status === 507 && Date.now() < deadline; made = await put(server.url('more'))) {
      await sleep(50)
    }
    expect(made.status).toBe(201)
    expect((await post(server.url('more'), body)).status).toBe(204)
  } finally {
    await server.stop()
  }
})

test('--max-connections: one more is answered 503 and told when to come back', async () => {
  const server = await Server.start({ threads: 1, args: ['--max-connections', '2'] })
  const open: RawConnection[] = []
  try {
    let refused = null
    for (let i = 0; i < 6 && refused === null; ++i) {
      const connection = await RawConnection.open(server.port)
      open.push(connection)
      const answer = await connection.request('GET', '/health')
      if (answer.status === 503) refused = answer
    }
    expect(refused?.status).toBe(503)
    expect(refused?.headers.get('retry-after')).toBe('1')
  } finally {
    for (const connection of open) connection.close()
    await server.stop()
  }
})

test('--send-cache: copies of large bodies are bounded, counted, and end with them', async () => {
  const server = await Server.start({ args: ['--send-cache', '3MiB'] })
  const copied = async () => {
    const metrics = (await get(`${server.origin}/metrics`)).text
    return Number(/^ds_send_cache_bytes (\S+)$/m.exec(metrics)?.[1])
  }
  try {
    const streams = Array.from({ length: 4 }, (_, i) => ({
      url: server.url(`large${i}`),
      body: new Uint8Array(randomBytes(1 << 20)),
    }))
    for (const { url, body } of streams) {
      expect((await put(url)).status).toBe(201)
      expect((await post(url, body)).status).toBe(204)
    }
    expect(await copied()).toBe(0)
    for (let round = 0; round < 3; ++round) {
      for (const { url, body } of streams) {
        expect(Buffer.compare((await get(`${url}?offset=-1`)).bytes, body)).toBe(0)
      }
    }
    const most = await copied()
    expect(most).toBeGreaterThan(1 << 20)
    expect(most).toBeLessThanOrEqual(3 << 20)
    for (const { url } of streams) expect((await del(url)).status).toBe(204)
    await expect.poll(copied, { timeout: 20_000 }).toBe(0)
  } finally {
    await server.stop()
  }
})
