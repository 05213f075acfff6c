// 1,000 SSE readers that never read while 1 GB is appended: the server's memory stays where it
// was, and the writer and a reader that does read get everything, in order.
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { encodeRequest, RawConnection } from '../lib/raw.ts'
import { kText, put } from '../lib/http.ts'
import { Server } from '../lib/server.ts'

const kReaders = 1000
const kBodyBytes = 64 << 10
const kAppends = (1 << 30) / kBodyBytes
const kGrowthBytesMax = 100_000_000
const kSpace = 0x20
const kMegabyte = 1_000_000

/** A reader that sends its request and then never takes a byte off its socket. */
function deadReader(port: number, path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.pause()
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.on('error', () => {})
      socket.write(encodeRequest('GET', `${path}?offset=-1&live=sse`), () => resolve(socket))
    })
  })
}

function body(number: number): string {
  return `${String(number).padStart(8, '0')}${'x'.repeat(kBodyBytes - 9)}\n`
}

/** Follows the stream over as many SSE responses as it takes; throws if a body is out of order. */
class LiveReader {
  seen = 0
  private offset = '-1'

  async follow(url: string): Promise<void> {
    while (this.seen < kAppends) await this.readOneResponse(`${url}?live=sse&offset=${this.offset}`)
  }

  private readOneResponse(url: string): Promise<void> {
    return new Promise((resolve, reject) => {
      let partial: Buffer = Buffer.alloc(0)
      const request = get(url, { agent: false }, (answer) => {
        answer.on('data', (bytes: Buffer) => {
          partial = partial.length === 0 ? bytes : Buffer.concat([partial, bytes])
          try {
            for (let end = partial.indexOf('\n\n'); end >= 0; end = partial.indexOf('\n\n')) {
              this.onEvent(partial.subarray(0, end))
              partial = partial.subarray(end + 2)
            }
          } catch (error) {
            reject(error as Error)
            request.destroy()
          }
          if (this.seen >= kAppends) request.destroy()
        })
        answer.on('close', () => resolve())
        answer.on('error', () => resolve())
      })
      request.on('error', (error) => (this.seen >= kAppends ? resolve() : reject(error)))
    })
  }

  // A data event carries one or more whole bodies, each of them one line.
  private onEvent(event: Buffer): void {
    if (event.subarray(0, 14).toString('latin1') === 'event: control') {
      const next = /"streamNextOffset":"([^"]+)"/.exec(event.toString('latin1'))?.[1]
      if (next === undefined) throw new Error(`a control without an offset: ${event.toString()}`)
      this.offset = next
      return
    }
    for (let at = event.indexOf('\ndata:'); at >= 0; at = event.indexOf('\ndata:', at + 1)) {
      const start = event[at + 6] === kSpace ? at + 7 : at + 6
      const number = event.subarray(start, start + 8).toString('latin1')
      if (!/^\d{8}/.test(number)) continue
      if (Number(number) !== this.seen) throw new Error(`${number} came, not ${this.seen}`)
      ++this.seen
    }
  }
}

test('1,000 readers that never read cost less than 100 MB', { timeout: 120_000 }, async () => {
  const server = await Server.start()
  const sockets: Socket[] = []
  try {
    const path = '/v1/stream/busy'
    expect((await put(server.url('busy'), kText)).status).toBe(201)
    for (let i = 0; i < kReaders; i += 50) {
      const batch = Array.from({ length: 50 }, () => deadReader(server.port, path))
      sockets.push(...(await Promise.all(batch)))
    }
    const reader = new LiveReader()
    const reading = reader.follow(server.url('busy'))
    reading.catch(() => {})
    await sleep(500)
    const before = server.residentBytes()
    let peak = before
    let slowest = 0
    const start = performance.now()
    const writer = await RawConnection.open(server.port)
    for (let i = 0; i < kAppends; ++i) {
      const sent = performance.now()
      const answer = await writer.request('POST', path, kText, body(i))
      expect(answer.status).toBe(204)
      slowest = Math.max(slowest, performance.now() - sent)
      if (i % 64 === 0) peak = Math.max(peak, server.residentBytes())
    }
    const seconds = (performance.now() - start) / 1000
    await reading
    peak = Math.max(peak, server.residentBytes())
    console.log(
      `1 GB in ${seconds.toFixed(1)} s, slowest append ${slowest.toFixed(0)} ms; resident ` +
        `${(before / kMegabyte).toFixed(0)} MB before, ` +
        `${(peak / kMegabyte).toFixed(0)} MB at most`,
    )
    expect(reader.seen).toBe(kAppends)
    expect(peak - before).toBeLessThan(kGrowthBytesMax)
  } finally {
    for (const socket of sockets) socket.destroy()
    await server.stop()
  }
})
