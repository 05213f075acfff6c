// Clients that take all they can get of one thing: the others go on.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { within } from '../lib/fixture.ts'
import { kText } from '../lib/http.ts'
import { encodeRequest, RawConnection } from '../lib/raw.ts'
import { freePort, Server, serverBinary } from '../lib/server.ts'

const kPath = '/v1/stream/a'

/** A connection that does nothing; resolves once the server has taken or refused it. */
async function idle(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

test('more connections than open files leave the log enough to go on', async () => {
  const kOpenFiles = 120
  const server = await Server.start({
    threads: 1,
    openFiles: kOpenFiles,
    args: ['--generation-size', '1MiB'],
  })
  const sockets: Socket[] = []
  try {
    const writer = await RawConnection.open(server.port)
    expect((await writer.request('PUT', kPath, kText)).status).toBe(201)
    for (let i = 0; i < kOpenFiles + 20; ++i) sockets.push(await idle(server.port))
    // Through several generations, each a new file.
    const body = 'x'.repeat(64 << 10)
    for (let i = 0; i < 64; ++i) {
      expect((await writer.request('POST', kPath, kText, body)).status).toBe(204)
    }
    writer.close()
    expect(server.stderr).not.toContain('the op log is broken')
    expect(server.stderr).toContain(`open_files=${kOpenFiles}`)
  } finally {
    for (const socket of sockets) socket.destroy()
    await server.stop()
  }
})

/** Appends `count` bodies of 16 MiB, so that most of them are on disk only. */
async function fill(server: Server, count: number): Promise<void> {
  const writer = await RawConnection.open(server.port)
  expect((await writer.request('PUT', kPath, kText)).status).toBe(201)
  const body = Buffer.alloc(16 << 20, 'x')
  for (let i = 0; i < count; ++i) {
    expect((await writer.request('POST', kPath, kText, body)).status).toBe(204)
  }
  writer.close()
}

/** A connection that sends `requests` and never takes a byte of the answers. */
async function deaf(port: number, requests: Buffer): Promise<Socket> {
  const socket = await idle(port)
  socket.pause()
  await new Promise((sent) => socket.write(requests, sent))
  return socket
}

/** The highest resident memory in `ms`. */
async function peakWithin(server: Server, ms: number): Promise<number> {
  let peak = 0
  for (const end = Date.now() + ms; Date.now() < end; await sleep(50)) {
    peak = Math.max(peak, server.residentBytes())
  }
  return peak
}

test('pipelines of reads whose answers nobody takes hold one answer each, or two', async () => {
  // One generation: nothing is sealed, and takes memory, meanwhile.
  const server = await Server.start({ threads: 1, args: ['--generation-size', '512MiB'] })
  const sockets: Socket[] = []
  try {
    await fill(server, 12)
    const before = server.residentBytes()
    const requests = Buffer.concat(Array.from({ length: 32 }, () => encodeRequest('GET', kPath)))
    for (let i = 0; i < 4; ++i) sockets.push(await deaf(server.port, requests))
    const peak = await peakWithin(server, 3000)
    expect(peak - before).toBeLessThan(4 * 2 * (20 << 20))
  } finally {
    for (const socket of sockets) socket.destroy()
    await server.stop()
  }
})

test('a standard error that nobody reads holds up neither requests nor the end', async () => {
  const port = await freePort()
  const args = ['serve', '--durability', 'memory', '--listen', `127.0.0.1:${port}`]
  // No listener reads from the pipe, which holds some 64 KiB.
  const child = spawn(serverBinary(), [...args, '--access-log'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(child, 'exit')
  try {
    let connection: RawConnection | null = null
    for (const end = Date.now() + 10_000; connection === null && Date.now() < end; ) {
      connection = await RawConnection.open(port).catch(() => sleep(20, null))
    }
    if (connection === null) throw new Error('the server did not start')
    for (let i = 0; i < 3000; ++i) {
      const answer = await within(5000, 'an answer', connection.request('GET', '/health'))
      expect(answer.status).toBe(200)
    }
    connection.close()
    child.kill('SIGTERM')
    expect((await within(10_000, 'the end', exited))[0]).toBe(0)
  } finally {
    child.kill('SIGKILL')
  }
})

test('answers that nobody takes are bounded together, and writes go on', async () => {
  const server = await Server.start({
    threads: 1,
    args: ['--generation-size', '512MiB', '--answer-memory', '64MiB'],
  })
  const sockets: Socket[] = []
  try {
    await fill(server, 12)
    const before = server.residentBytes()
    const read = encodeRequest('GET', kPath)
    const follow = encodeRequest('GET', `${kPath}?offset=-1&live=sse`)
    for (let i = 0; i < 100; ++i) sockets.push(await deaf(server.port, i % 2 ? read : follow))
    const peak = await peakWithin(server, 3000)
    // The two readers' threads, and one that was let in before it was full, come on top.
    expect(peak - before).toBeLessThan(200 << 20)
    const other = await RawConnection.open(server.port)
    const refused = await other.request('GET', kPath)
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect((await other.request('POST', kPath, kText, 'x')).status).toBe(204)
    for (const socket of sockets) socket.destroy()
    for (;;) {
      const answer = await other.request('GET', kPath)
      if (answer.status === 200) break
      await sleep(50)
    }
  } finally {
    for (const socket of sockets) socket.destroy()
    await server.stop()
  }
})

test('many readers of many small messages at once are served a part at a time', async () => {
  const server = await Server.start({ threads: 1 })
  const sockets: Socket[] = []
  try {
    const writer = await RawConnection.open(server.port)
    expect((await writer.request('PUT', kPath, kText)).status).toBe(201)
    for (let i = 0; i < 600; ++i) {
      expect((await writer.request('POST', kPath, kText, 'x'.repeat(2000))).status).toBe(204)
    }
    for (let i = 0; i < 400; ++i) sockets.push(await deaf(server.port, Buffer.alloc(0)))
    const before = server.peakResidentBytes()
    // So that all their requests are there at once.
    process.kill(server.pid, 'SIGSTOP')
    const read = encodeRequest('GET', kPath)
    await Promise.all(sockets.map((socket) => new Promise((sent) => socket.write(read, sent))))
    process.kill(server.pid, 'SIGCONT')
    expect((await writer.request('POST', kPath, kText, 'x')).status).toBe(204)
    expect(server.peakResidentBytes() - before).toBeLessThan(100 << 20)
  } finally {
    process.kill(server.pid, 'SIGCONT')
    for (const socket of sockets) socket.destroy()
    await server.stop()
  }
})
