// Each call that changes a file fails once, with EIO or for want of room: whoever is refused is told
// so, what was answered stays true, and the server gets over it without a restart. All calls with
// --long; otherwise some, spread evenly, others in each run.
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kText, post, producer, put } from '../lib/http.ts'
import { Server } from '../lib/server.ts'
import { Backlog, kSealingArgs } from './backlog.ts'
import { check } from './observe.ts'
import { forEach, pointsUpTo } from './points.ts'
import { kDeeds, Shim } from './shim.ts'

const kLanes = 6
// Longer than the pause after which sealing tries again.
const kQuietMs = 1500
const kPatienceMs = 15_000
const kAppends = 8
const kTimeout = { timeout: 3_600_000 }

let backlog: Backlog
beforeAll(async () => {
  backlog = await Backlog.make()
}, 120_000)
afterAll(() => backlog?.remove())

/** Appends until it is taken; every refusal on the way must be a documented one. */
async function insist(server: Server, seq: number): Promise<string> {
  const headers = { ...kText, ...producer('p', 0, seq) }
  for (const end = Date.now() + kPatienceMs; Date.now() < end; await sleep(50)) {
    const answer = await post(server.url('while'), `<${seq}>`, headers)
    if (answer.status < 300) return ''
    if (answer.status !== 503 && answer.status !== 507) return `append answered ${answer.status}`
    if (!/^\d+$/.test(answer.headers.get('retry-after') ?? '')) return 'no Retry-After'
  }
  return 'appends are refused for ever'
}

async function onePoint(point: number, error: 'EIO' | 'ENOSPC'): Promise<string> {
  const dataDir = backlog.copy()
  const shim = new Shim(dataDir)
  const server = await Server.prepare({ dataDir, args: kSealingArgs, env: shim.env })
  try {
    shim.set({ deed: kDeeds.fail, from: point, count: 1, error })
    server.launch()
    const up = await server.ready().then(
      () => true,
      () => false,
    )
    // A start may be refused, in a sentence; the next one goes well.
    if (!up) {
      if ((await server.ended()) !== 1 || !server.stderr.includes('error')) {
        return `ended with ${await server.ended()}: ${server.stderr}`
      }
      await server.restart()
    }
    const created = await put(server.url('while'), kText)
    if (created.status >= 300) {
      await sleep(500)
      const again = await put(server.url('while'), kText)
      if (again.status >= 300) return `PUT answered ${again.status}`
    }
    for (let i = 0; i < kAppends; ++i) {
      const problem = await insist(server, i)
      if (problem !== '') return problem
    }
    await shim.quiet(kQuietMs)
    await backlog.verify(server)
    await server.kill()
    const found = await check(dataDir)
    if (found !== '') return found
    server.env = {}
    await server.restart()
    await backlog.verify(server)
    const stored = await (await fetch(server.url('while'))).text()
    const wanted = Array.from({ length: kAppends }, (_, i) => `<${i}>`).join('')
    return stored === wanted ? '' : `stored ${stored}`
  } finally {
    await server.kill()
    shim.close()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

test.each(['EIO', 'ENOSPC'] as const)('each call fails once with %s', kTimeout, async (error) => {
  const dataDir = backlog.copy()
  const shim = new Shim(dataDir)
  const server = await Server.start({ dataDir, args: kSealingArgs, env: shim.env })
  const last = await shim.quiet(kQuietMs)
  await server.kill()
  shim.close()
  rmSync(dataDir, { recursive: true })
  const points = pointsUpTo(last, 18)
  expect(await forEach(points, kLanes, (point) => onePoint(point, error))).toEqual([])
})
