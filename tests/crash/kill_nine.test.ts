// kill -9 at random moments under load. Afterwards no answered append is lost, doubled, reordered
// or at another offset than answered; no producer's retry was refused; no reader, whether it asks
// or is told over SSE, saw bytes that are gone or have changed; what was closed is closed, what was
// deleted is deleted, and forks show what they were made from.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { close, put } from '../lib/http.ts'
import { Random, runSeed } from '../lib/random.ts'
import { Server } from '../lib/server.ts'
import type { Kind } from './message.ts'
import { Forks } from './forks.ts'
import { Follower } from './reader.ts'
import { SseFollower } from './sse_follower.ts'
import { readStored, verifyShared, verifyShortLives } from './verify.ts'
import { contentType, World, type SharedStream } from './world.ts'
import { conditionalWriter, plainWriter, producerWriter, shortLivesWriter } from './writers.ts'

const kRounds = Number(process.env.ROUNDS ?? 20)
const kSharedStreams = 6
// 32 writers, half of them idempotent producers.
const kProducers = 13
const kShortLives = 3
const kPlain = 12
const kConditional = 4
const kForkWriters = 2

test(
  `${kRounds} kills under load from 32 writers`,
  { timeout: 60_000 + kRounds * 10_000 },
  async () => {
    const seed = runSeed()
    console.log(`DS_TEST_SEED=${seed} ROUNDS=${kRounds}`)
    const random = new Random(seed)
    const server = await Server.start()
    try {
      const world = new World(server, seed)
      const create = async (path: string, kind: Kind): Promise<SharedStream> => {
        const stream: SharedStream = { path, kind, appends: [] }
        world.streams.push(stream)
        const answer = await put(server.url(path), { 'Content-Type': contentType(kind) })
        expect(answer.status).toBe(201)
        return stream
      }
      const shared: SharedStream[] = []
      for (let i = 0; i < kSharedStreams; ++i) {
        shared.push(await create(`shared-${i}`, i % 3 === 2 ? 'json' : 'text'))
      }
      const at = (i: number): SharedStream => shared[i % kSharedStreams] as SharedStream
      const running: Promise<void>[] = []
      for (let i = 0; i < kProducers; ++i) {
        running.push(producerWriter(world, `producer-${i}`, at(i), random.fork()))
      }
      for (let i = 0; i < kPlain; ++i) {
        running.push(plainWriter(world, `plain-${i}`, at(i), random.fork()))
      }
      for (let i = 0; i < kConditional; ++i) {
        const own = await create(`conditional-${i}`, i % 2 === 0 ? 'text' : 'json')
        running.push(conditionalWriter(world, `conditional-${i}`, own, random.fork()))
      }
      for (let i = 0; i < kShortLives; ++i) {
        running.push(shortLivesWriter(world, `life-${i}`, random.fork()))
      }
      const forks = new Forks(world, [await create('forked', 'text')])
      running.push(plainWriter(world, 'forked', world.streams.at(-1) as SharedStream, random.fork()))
      for (let i = 0; i < kForkWriters; ++i) {
        running.push(forks.write(`fork-${i}`, random.fork()))
      }
      const followers = new Map(shared.map((stream) => [stream, new Follower(world, stream)]))
      const sseFollowers = new Map(shared.map((stream) => [stream, new SseFollower(world, stream)]))
      const following = Promise.all(
        [...followers.values(), ...sseFollowers.values()].map((follower) => follower.follow()),
      )
      const written = Promise.all(running)
      following.catch(() => {})
      written.catch(() => {})

      for (let round = 0; round < kRounds; ++round) {
        // A kill counts only if the writers were at work again.
        const before = world.answered
        await sleep(random.int(20, 400))
        for (let waits = 0; world.answered < before + 100 && waits < 1000; ++waits) await sleep(5)
        expect(world.answered, 'appends answered between two kills').toBeGreaterThan(before)
        await world.killAndRestart()
      }
      await sleep(200)
      world.draining = true
      await written
      // Wakes the followers that are parked at a tail.
      for (const stream of shared) expect((await close(server.url(stream.path))).status).toBe(204)
      await following

      const all = new Map<SharedStream, Buffer>()
      for (const stream of world.streams) {
        const stored = await readStored(server.url(stream.path), stream.kind)
        verifyShared(world, stream, stored)
        followers.get(stream)?.verify(stored)
        sseFollowers.get(stream)?.verify(stored)
        all.set(stream, stored)
      }
      await forks.verify(all)
      await verifyShortLives(world)
      const answered = world.streams.reduce(
        (sum, stream) => sum + stream.appends.filter((record) => record.offset !== null).length,
        0,
      )
      console.log(
        `${kRounds} kills, ${answered} answered appends in ${world.streams.length} streams, ` +
          `${world.lives.length} short lives, ${forks.made} forks, ` +
          `${[...sseFollowers.values()].reduce((sum, one) => sum + one.responses, 0)} SSE responses, ` +
          `${world.retried} requests cut off`,
      )
      expect(world.violations, `seed ${seed}\n${server.stderr.slice(-2000)}`).toEqual([])
    } finally {
      await server.kill()
      await server.stop()
    }
  },
)
