// 100,000 ops in the log, kill -9, restart: the first correct answer comes in less than a second.
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { encodeRequest, RawConnection } from '../lib/raw.ts'
import { Server } from '../lib/server.ts'

const kOps = 100_000
const kStreams = 100
const kBodyBytes = 100
const kRestarts = 3
const kFirstAnswerMsMax = 1000

/** Fills one stream over one connection, a pipelined batch at a time. */
async function fill(port: number, path: string, ops: number): Promise<void> {
  const connection = await RawConnection.open(port)
  const headers = { 'Content-Type': 'text/plain' }
  await connection.request('PUT', path, headers)
  const post = encodeRequest('POST', path, headers, 'x'.repeat(kBodyBytes))
  const batch = 100
  for (let sent = 0; sent < ops; sent += batch) {
    connection.write(Buffer.concat(Array.from({ length: batch }, () => post)))
    for (let i = 0; i < batch; ++i) expect((await connection.answer()).status).toBe(204)
  }
  connection.close()
}

async function firstCorrectAnswer(port: number, path: string, bytes: number): Promise<void> {
  for (;;) {
    try {
      const connection = await RawConnection.open(port)
      const answer = await connection.request('GET', path)
      connection.close()
      if (answer.status === 200) {
        expect(answer.body.length).toBe(bytes)
        expect(answer.headers.get('stream-up-to-date')).toBe('true')
        return
      }
      expect(answer.status).toBe(503)
    } catch (error) {
      if ((error as Error).name === 'AssertionError') throw error
    }
    await sleep(2)
  }
}

test('restarts in under a second with 100,000 ops in the log', { timeout: 180_000 }, async () => {
  const server = await Server.start()
  try {
    const paths = Array.from({ length: kStreams }, (_, i) => `/v1/stream/fill-${i}`)
    await Promise.all(paths.map((path) => fill(server.port, path, kOps / kStreams)))
    const times: number[] = []
    for (let i = 0; i < kRestarts; ++i) {
      await server.kill()
      const start = performance.now()
      server.launch()
      await firstCorrectAnswer(server.port, paths[i] as string, (kOps / kStreams) * kBodyBytes)
      times.push(performance.now() - start)
    }
    times.sort((a, b) => a - b)
    console.log(`first correct answer after ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`)
    expect(times[Math.floor(kRestarts / 2)]).toBeLessThan(kFirstAnswerMsMax)
  } finally {
    await server.kill()
    await server.stop()
  }
})
