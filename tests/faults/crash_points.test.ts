// `kill -9` at every step: at each call that changes a file, the process dies instead of it, or half
// way through it. All of them with --long; otherwise some, spread evenly, others in each run. What
// was answered is there afterwards, what was not is there wholly or not at all, and `check` finds
// nothing.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { close, del, kJson, kText, post, producer, put, type Answer } from '../lib/http.ts'
import { Server } from '../lib/server.ts'
import { Backlog, kSealingArgs } from './backlog.ts'
import { check, observe } from './observe.ts'
import { forEach, pointsUpTo } from './points.ts'
import { kDeeds, Shim } from './shim.ts'

const kLanes = 3
const kQuietMs = 700
const kTimeout = { timeout: 3_600_000 }

let backlog: Backlog
beforeAll(async () => {
  backlog = await Backlog.make()
}, 120_000)
afterAll(() => backlog?.remove())

/** Launches a server that is to die, and waits until it has, or has nothing left to do. */
async function runUntilDead(server: Server, shim: Shim): Promise<void> {
  server.env = shim.env
  server.launch()
  await Promise.race([server.ended(), shim.quiet(2 * kQuietMs)])
  await server.kill()
  server.env = {}
}

/** How many calls there are from the start until all is sealed, merged and removed. */
async function callsUntilIdle(): Promise<number> {
  const dataDir = backlog.copy()
  const shim = new Shim(dataDir)
  const server = await Server.start({ dataDir, args: kSealingArgs, env: shim.env })
  const calls = await shim.quiet(kQuietMs)
  const metrics = await (await fetch(`${server.origin}/metrics`)).text()
  const count = (name: string): number =>
    Number(new RegExp(`^${name} (\\d+)`, 'm').exec(metrics)?.[1])
  // The run is worth it only if all of this happens in it.
  expect(count('ds_sealed_generations_total')).toBeGreaterThanOrEqual(9)
  expect(count('ds_segment_merges_total')).toBeGreaterThanOrEqual(1)
  await backlog.verify(server)
  await server.kill()
  expect(await check(dataDir)).toBe('')
  shim.close()
  rmSync(dataDir, { recursive: true })
  return calls
}

test('sealing, merging, retention and deletion, from a log that was never sealed', kTimeout, async () => {
  const last = await callsUntilIdle()
  console.log(`${last} calls that change files`)
  const problems = await forEach(pointsUpTo(last, 50), kLanes, async (point) => {
    const dataDir = backlog.copy()
    const shim = new Shim(dataDir)
    const server = await Server.prepare({ dataDir, args: kSealingArgs })
    try {
      shim.set({ deed: point % 2 === 0 ? kDeeds.kill : kDeeds.killHalf, from: point })
      await runUntilDead(server, shim)
      // Once more in what the start after it does, and then nothing disturbs it.
      shim.set({ deed: kDeeds.kill, from: 1 + (point % 40) })
      await runUntilDead(server, shim)
      await server.restart()
      await backlog.verify(server)
      const more = await put(server.url('afterwards'), kText, 'x')
      if (more.status !== 201) return `PUT answered ${more.status}`
      await server.kill()
      return await check(dataDir)
    } finally {
      await server.kill()
      shim.close()
      rmSync(dataDir, { recursive: true, force: true })
    }
  })
  expect(problems).toEqual([])
})

type Step = (server: Server) => Promise<Answer>

// Every kind of request, each such that it may be repeated.
const kNames = ['a', 'b', 'json', 'fork', 'short', 'again']
const kSteps: Step[] = [
  (s) => put(s.url('a'), kText, 'first'),
  (s) => put(s.url('json'), kJson, '[1,2]'),
  (s) => post(s.url('a'), 'second', { ...kText, ...producer('p', 0, 0) }),
  (s) => post(s.url('a'), 'x'.repeat(30_000), { ...kText, ...producer('p', 0, 1) }),
  (s) => post(s.url('json'), '[{"a":1},{"b":[2]}]', { ...kJson, ...producer('j', 0, 0) }),
  (s) => put(s.url('b'), kText),
  (s) => post(s.url('b'), 'y'.repeat(40_000), { ...kText, ...producer('p', 0, 0) }),
  (s) => put(s.url('fork'), { ...kText, 'Stream-Forked-From': '/v1/stream/a' }),
  (s) => post(s.url('fork'), 'own', { ...kText, ...producer('p', 0, 0) }),
  (s) => put(s.url('short'), kText, 'gone soon'),
  (s) => del(s.url('short')),
  (s) => put(s.url('again'), kText, 'one life'),
  (s) => del(s.url('again')),
  (s) => put(s.url('again'), kText, 'another'),
  (s) => post(s.url('b'), 'z'.repeat(30_000), { ...kText, ...producer('p', 1, 0) }),
  (s) => post(s.url('b'), 'end', { ...kText, ...producer('p', 1, 1), 'Stream-Closed': 'true' }),
  (s) => del(s.url('a')),
  (s) => close(s.url('json')),
  (s) => post(s.url('fork'), 'more', { ...kText, ...producer('p', 0, 1) }),
]

/** Sends the steps from `from` on; how many were answered before the server died. */
async function send(server: Server, from: number): Promise<number> {
  for (let i = from; i < kSteps.length; ++i) {
    const answer = await (kSteps[i] as Step)(server).catch(() => null)
    if (answer === null) return i
    // A deletion that was carried out and not answered is not there to be carried out again.
    const repeated = i === from && (answer.status === 404 || answer.status === 410)
    if (answer.status >= 300 && !repeated) throw new Error(`step ${i} answered ${answer.status}`)
  }
  return kSteps.length
}

test('requests of every kind, from the first start on', kTimeout, async () => {
  const args = ['--generation-size', '64KiB', '--seal-after', '100ms', '--evict-after', '0s']
  const newDir = (): string => mkdtempSync(join(tmpdir(), 'ds-steps-'))
  // After each step; the first is that of nothing.
  const states: string[][] = []
  const dryDir = newDir()
  const dry = new Shim(dryDir)
  const reference = await Server.start({ dataDir: dryDir, args, env: dry.env })
  states.push(await observe(reference, kNames))
  for (const step of kSteps) {
    expect((await step(reference)).status).toBeLessThan(300)
    states.push(await observe(reference, kNames))
  }
  const last = await dry.quiet(kQuietMs)
  await reference.kill()
  dry.close()
  rmSync(dryDir, { recursive: true })
  console.log(`${last} calls that change files`)

  const problems = await forEach(pointsUpTo(last, 50), kLanes, async (point) => {
    const dataDir = newDir()
    const shim = new Shim(dataDir)
    const server = await Server.prepare({ dataDir, args })
    try {
      shim.set({ deed: point % 2 === 0 ? kDeeds.kill : kDeeds.killHalf, from: point })
      server.env = shim.env
      server.launch()
      // It may die before it is ready.
      const up = await server.ready().then(
        () => true,
        () => false,
      )
      const answered = up ? await send(server, 0) : 0
      if (answered === kSteps.length) await Promise.race([server.ended(), shim.quiet(kQuietMs)])
      await server.kill()
      server.env = {}
      await server.restart()
      const seen = await observe(server, kNames)
      const fits = [states[answered], states[Math.min(answered + 1, kSteps.length)]].some(
        (state) => JSON.stringify(state) === JSON.stringify(seen),
      )
      if (!fits) return `after ${answered} answers: ${seen.join('; ')}`
      if ((await send(server, answered)) !== kSteps.length) return 'it died again'
      const end = await observe(server, kNames)
      if (JSON.stringify(end) !== JSON.stringify(states.at(-1))) return `at last ${end.join('; ')}`
      await server.kill()
      return await check(dataDir)
    } finally {
      await server.kill()
      shim.close()
      rmSync(dataDir, { recursive: true, force: true })
    }
  })
  expect(problems).toEqual([])
})
