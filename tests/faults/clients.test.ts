// Clients and processes that stop in the middle of something, and very many of them at once.
import { spawnSync } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { within } from '../lib/fixture.ts'
import { get, kText, post, producer, put, readAll, SseReader } from '../lib/http.ts'
import { encodeRequest, exchange, RawConnection } from '../lib/raw.ts'
import { Server } from '../lib/server.ts'

// As far as descriptors allow, here and in the server.
const kDescriptors = Number(spawnSync('/bin/sh', ['-c', 'ulimit -Hn']).stdout.toString()) || Infinity
const kCrowd = Math.min(10_000, kDescriptors - 1000)

function opened(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

async function metric(server: Server, name: string): Promise<number> {
  const text = (await get(`${server.origin}/metrics`)).text
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

test('a server that is stopped for three seconds goes on where it was', async () => {
  const server = await Server.start({ args: ['--generation-size', '64KiB', '--seal-after', '100ms'] })
  try {
    const url = server.url('a')
    expect((await put(url, kText)).status).toBe(201)
    expect((await put(server.url('short'), { ...kText, 'Stream-TTL': '2' }, 'x')).status).toBe(201)
    const reader = await SseReader.open(`${url}?offset=-1&live=sse`)
    expect((await reader.control()).upToDate).toBe(true)
    let answered = 0
    let stopping = false
    const writing = (async (): Promise<void> => {
      for (; !stopping; ++answered) {
        const answer = await post(url, `<${answered}>`, { ...kText, ...producer('p', 0, answered) })
        if (answer.status >= 300) throw new Error(`${answer.status}: ${answer.text}`)
      }
    })()
    while (answered < 50) await sleep(5)
    process.kill(server.pid, 'SIGSTOP')
    const before = answered
    await sleep(3000)
    // One answer may have been on its way.
    expect(answered).toBeLessThanOrEqual(before + 1)
    process.kill(server.pid, 'SIGCONT')
    while (answered < before + 50) await sleep(5)
    stopping = true
    await writing
    const wanted = Array.from({ length: answered }, (_, i) => `<${i}>`).join('')
    expect((await readAll(url)).bytes.toString()).toBe(wanted)
    let seen = ''
    while (seen.length < wanted.length) {
      const event = await within(5000, 'an event', reader.next())
      if (event === null) throw new Error('the reader was cut off')
      if (event.type === 'data') seen += event.data
    }
    expect(seen).toBe(wanted)
    // Time went on meanwhile.
    expect((await get(server.url('short'))).status).toBe(404)
  } finally {
    await server.kill()
    await server.stop()
  }
})

test('clients gone in the middle of an append: all of it is stored, or nothing', async () => {
  const server = await Server.start({ threads: 2 })
  try {
    const kClients = 200
    const kBody = 'x'.repeat(20_000)
    for (let i = 0; i < kClients; ++i) {
      expect((await put(server.url(`s${i}`), kText)).status).toBe(201)
    }
    await Promise.all(
      Array.from({ length: kClients }, async (_, i) => {
        const request = encodeRequest('POST', `/v1/stream/s${i}`, kText, kBody)
        const part = i % 2 === 0 ? request : request.subarray(0, request.length - 1 - (i * 97) % 19_000)
        const socket = await opened(server.port)
        await new Promise((sent) => socket.write(part, sent))
        if (i % 4 < 2) socket.destroy()
        else socket.resetAndDestroy()
      }),
    )
    // Every connection has ended, and with it what it might still have asked for.
    while ((await metric(server, 'ds_pending_ops')) > 0) await sleep(20)
    await sleep(200)
    let whole = 0
    for (let i = 0; i < kClients; ++i) {
      const { text } = await get(server.url(`s${i}`))
      if (text === kBody) ++whole
      else expect(text).toBe('')
      if (i % 2 === 1) expect(text, 'an unfinished body').toBe('')
    }
    expect(whole).toBeGreaterThan(0)
  } finally {
    await server.stop()
  }
})

describe('connections that are half there', () => {
  let server: Server
  beforeAll(async () => {
    const timeouts = ['--idle-timeout', '1s', '--head-timeout', '1s', '--body-timeout', '1s']
    server = await Server.start({ args: [...timeouts, '--write-timeout', '1s'] })
    expect((await put(server.url('a'), kText, 'text')).status).toBe(201)
  })
  afterAll(async () => {
    await server.stop()
  })

  test('a client that has closed its side still gets its answer', async () => {
    const request = encodeRequest('GET', '/v1/stream/a')
    const { answers, closed } = await exchange(server.port, request, { half: true })
    expect(answers[0]?.body.toString()).toBe('text')
    expect(closed).toBe(true)
  })

  test('a connection that says nothing is closed', async () => {
    const socket = await opened(server.port)
    socket.resume()
    await within(10_000, 'the end', ended(socket))
  })

  test('slow loris: a byte now and then does not keep a connection open', async () => {
    const socket = await opened(server.port)
    socket.resume()
    const request = encodeRequest('GET', '/v1/stream/a', { 'X-Long': 'y'.repeat(1000) })
    let at = 0
    const dripping = setInterval(() => socket.write(request.subarray(at, ++at)), 100)
    try {
      await within(10_000, 'the end', ended(socket))
    } finally {
      clearInterval(dripping)
    }
    expect(at).toBeLessThan(200)
  })

  test('slow loris with a body: the same, and nothing is stored', async () => {
    const socket = await opened(server.port)
    socket.resume()
    const request = encodeRequest('POST', '/v1/stream/a', kText, 'z'.repeat(1000))
    const head = request.indexOf('\r\n\r\n') + 4
    socket.write(request.subarray(0, head))
    let at = head
    const dripping = setInterval(() => socket.write(request.subarray(at, ++at)), 100)
    try {
      await within(15_000, 'the end', ended(socket))
    } finally {
      clearInterval(dripping)
    }
    expect((await get(server.url('a'))).text).toBe('text')
  })

  test('a live reader that takes nothing is let go, and what it holds with it', async () => {
    const url = server.url('stuck')
    expect((await put(url, kText)).status).toBe(201)
    const socket = await opened(server.port)
    socket.pause()
    socket.write(encodeRequest('GET', '/v1/stream/stuck?offset=-1&live=sse'))
    while ((await metric(server, 'ds_parked_readers{mode="sse"}')) === 0) await sleep(20)
    const body = 'b'.repeat(1 << 20)
    for (let i = 0; i < 16; ++i) expect((await post(url, body)).status).toBe(204)
    const gone = async (): Promise<void> => {
      const drops = (text: string): boolean => /reason="write_timeout"\} [1-9]/.test(text)
      while (!drops((await get(`${server.origin}/metrics`)).text)) await sleep(50)
    }
    await within(15_000, 'the reader is dropped', gone())
    socket.destroy()
    expect((await readAll(url)).bytes.length).toBe(16 << 20)
  })
})

test(`${kCrowd} connections at once are served, and their end is noticed`, async () => {
  const server = await Server.start({ threads: 2 })
  const sockets: RawConnection[] = []
  try {
    expect((await put(server.url('a'), kText, 'text')).status).toBe(201)
    const before = server.residentBytes()
    for (let i = 0; i < kCrowd; i += 500) {
      const some = Array.from({ length: 500 }, () => RawConnection.open(server.port))
      sockets.push(...(await Promise.all(some)))
    }
    // All ask at the same time, and wait for the same append.
    const now = sockets.map((socket) => socket.request('GET', '/v1/stream/a'))
    for (const answer of await within(30_000, 'answers', Promise.all(now))) {
      expect(answer.body.toString()).toBe('text')
      if (answer.status !== 200) throw new Error(`answered ${answer.status}`)
    }
    const parked = sockets.map((socket) =>
      socket.request('GET', '/v1/stream/a?offset=now&live=long-poll'),
    )
    const waiting = 'ds_parked_readers{mode="long_poll"}'
    await within(
      30_000,
      'all are parked',
      (async () => {
        const text = async (): Promise<string> => (await get(`${server.origin}/metrics`)).text
        while (!(await text()).includes(`${waiting} ${kCrowd}`)) await sleep(100)
      })(),
    )
    expect((await post(server.url('a'), 'more')).status).toBe(204)
    for (const answer of await within(20_000, 'wake-ups', Promise.all(parked))) {
      if (answer.status !== 200 || answer.body.toString() !== 'more') {
        throw new Error(`answered ${answer.status}`)
      }
    }
    const grown = server.residentBytes() - before
    console.log(`${kCrowd} connections: ${(grown / 1e6).toFixed(0)} MB more resident`)
    expect(grown).toBeLessThan(200e6)
    for (const socket of sockets) socket.close()
    const closed = async (): Promise<void> => {
      while ((await metric(server, 'ds_connections')) > 10) await sleep(100)
    }
    await within(20_000, 'connections are gone', closed())
  } finally {
    for (const socket of sockets) socket.close()
    await server.stop()
  }
})
