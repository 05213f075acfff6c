// Random sequences of valid and nearly valid requests are answered as the protocol's reference
// server answers them, but for the differences in known.ts.
//
//   tests/run-js differential                         a few sequences, always the same
//   DS_TEST_SEED=7 DS_TEST_SEQUENCES=1 tests/run-js differential   one that failed, or many
import { DurableStreamTestServer } from '@durable-streams/server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Random } from '../lib/random.ts'
import { Server } from '../lib/server.ts'
import { kKnown } from './known.ts'
import { describe, kindOf, runSequence, shrink } from './run.ts'
import { Generator } from './sequence.ts'
import { answers } from './target.ts'

const kFirstSeed = Number(process.env.DS_TEST_SEED ?? 1)
const kSequences = Number(
  process.env.DS_TEST_SEQUENCES ?? (process.env.DS_TEST_LONG ? 10_000 : 150),
)
const kStepsMax = 40
const kLongPollMs = 40
const kFindingsMax = Number(process.env.DS_TEST_FINDINGS ?? 5)

let server: Server
let reference: DurableStreamTestServer
beforeAll(async () => {
  server = await Server.start({
    args: ['--durability', 'memory', '--long-poll-timeout', `${kLongPollMs}ms`],
  })
  reference = new DurableStreamTestServer({
    port: 0,
    longPollTimeout: kLongPollMs,
    compression: false,
  })
  await reference.start()
})
afterAll(async () => {
  await reference.stop()
  await server.stop()
})

test('both servers answer alike', { timeout: 24 * 3600_000 }, async () => {
  const ports = { ours: server.port, theirs: Number(new URL(reference.url).port) }
  const known = new Map<string, number>()
  const findings = new Map<string, string>()
  let requests = 0
  for (let seed = kFirstSeed; seed < kFirstSeed + kSequences; ++seed) {
    const random = new Random(seed)
    const steps = new Generator(random).sequence(random.int(5, kStepsMax))
    const outcome = await runSequence(steps, ports, `s${seed}`)
    requests += outcome.requests
    for (const [name, times] of outcome.known) known.set(name, (known.get(name) ?? 0) + times)
    const kind = kindOf(outcome.finding)
    if (outcome.finding === null || findings.has(kind)) continue
    const few = await shrink(steps.slice(0, outcome.requests), kind, ports, `s${seed}`)
    const again = (await runSequence(few, ports, `s${seed}`)).finding ?? outcome.finding
    findings.set(kind, `DS_TEST_SEED=${seed} DS_TEST_SEQUENCES=1\n${describe(few, again)}`)
    if (findings.size >= kFindingsMax) break
  }
  console.log(`${requests} requests, seeds from ${kFirstSeed}; known differences:`)
  for (const { name } of kKnown) console.log(`  ${known.get(name) ?? 0} x ${name}`)
  expect([...findings.values()].join('\n\n')).toBe('')
  expect(await answers(server.port)).toBe(true)
  // A generator whose sequences all end at once would prove nothing.
  expect(requests).toBeGreaterThan(kSequences * 5)
})
