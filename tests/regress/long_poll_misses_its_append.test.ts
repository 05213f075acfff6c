// Caddy's long-poll reads, then registers its waiter, and does not look again in between: 5 of
// 6,638 waiters slept to the timeout although the append had been answered.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { freshName } from '../lib/fixture.ts'
import { head, kText, nextOffset, put } from '../lib/http.ts'
import { RawConnection } from '../lib/raw.ts'
import { Random, runSeed } from '../lib/random.ts'
import { Server } from '../lib/server.ts'

const kRaces = 1500

test.each([1, 4])('no append is slept through, --threads %i', async (threads) => {
  const seed = runSeed()
  const random = new Random(seed)
  const server = await Server.start({ threads, args: ['--long-poll-timeout', '20s'] })
  try {
    const lanes = 8
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        const path = `/v1/stream/${freshName()}`
        const url = server.origin + path
        await put(url, kText)
        let offset = nextOffset(await head(url))
        const [reader, writer] = [
          await RawConnection.open(server.port),
          await RawConnection.open(server.port),
        ]
        for (let i = 0; i < kRaces / lanes; ++i) {
          const start = Date.now()
          const poll = reader.request('GET', `${path}?live=long-poll&offset=${offset}`)
          if (random.chance(0.2)) await sleep(random.int(0, 2))
          else for (let spin = random.int(0, 2000); spin > 0; --spin);
          const append = await writer.request('POST', path, kText, `${i};`)
          expect(append.status).toBe(204)
          const answer = await poll
          expect(answer.status, `race ${i} of seed ${seed}`).toBe(200)
          expect(Date.now() - start).toBeLessThan(10_000)
          expect(answer.body.toString()).toBe(`${i};`)
          offset = answer.headers.get('stream-next-offset') ?? ''
        }
        reader.close()
        writer.close()
      }),
    )
  } finally {
    await server.stop()
  }
})
