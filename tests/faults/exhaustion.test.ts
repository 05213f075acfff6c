// No memory, no threads: a server that cannot go on ends with a sentence, and what it answered is
// there at the next start.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { within } from '../lib/fixture.ts'
import { get, kText, post, producer, put } from '../lib/http.ts'
import { Server } from '../lib/server.ts'
import { check } from './observe.ts'
import { forEach, pointsUpTo } from './points.ts'
import { Shim } from './shim.ts'

const kArgs = ['--generation-size', '64KiB', '--seal-after', '100ms', '--evict-after', '0s']
const kAppends = 30
// Bodies, buffers and vectors that grow; the smallest allocations come by the thousand.
const kSizes = [1, 256, 4096]
const kTimeout = { timeout: 600_000 }

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ds-exhausted-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

test('each thread that cannot be made: no start, and a sentence', async () => {
  const shim = new Shim(dataDir)
  const server = await Server.prepare({ dataDir, args: kArgs, env: shim.env, threads: 2 })
  try {
    server.launch()
    await server.ready()
    expect((await put(server.url('a'), kText, 'kept')).status).toBe(201)
    const threads = shim.threads()
    expect(threads).toBeGreaterThanOrEqual(5)
    await server.terminate()
    for (let from = 1; from <= threads; ++from) {
      shim.refuseThreads(from)
      server.stderr = ''
      server.launch()
      expect(await within(20_000, `the end without thread ${from}`, server.ended())).toBe(1)
      expect(server.stderr, `without thread ${from}`).toMatch(/cannot start a thread: Resource temporarily unavailable/)
    }
    shim.refuseThreads(0)
    await server.restart()
    expect((await get(server.url('a'))).text).toBe('kept')
  } finally {
    await server.kill()
    shim.close()
  }
})

/** Appends one by one; how many were answered before the server ended. */
async function work(server: Server, from: number): Promise<number> {
  for (let i = from; i < kAppends; ++i) {
    const name = `s${i % 3}`
    const created = await put(server.url(name)).catch(() => null)
    if (created === null) return i
    const body = `<${i}:${'x'.repeat((i * 997) % 9000)}>`
    const headers = { ...kText, ...producer('p', 0, Math.floor(i / 3)) }
    const answer = await post(server.url(name), body, headers).catch(() => null)
    if (answer === null) return i
    // Whoever is refused may ask again.
    if (answer.status === 503 || answer.status === 507) --i
    else if (answer.status >= 300) throw new Error(`append answered ${answer.status}`)
    await get(`${server.url(name)}?offset=-1`).catch(() => null)
  }
  return kAppends
}

function wanted(name: number): string {
  let text = ''
  for (let i = name; i < kAppends; i += 3) text += `<${i}:${'x'.repeat((i * 997) % 9000)}>`
  return text
}

test('memory that is refused, anywhere: refused requests or an end, and nothing lost', kTimeout, async () => {
  const dry = new Shim(dataDir)
  const reference = await Server.start({ dataDir, args: kArgs, env: dry.env })
  const points: { from: number; bytes: number }[] = []
  for (const bytes of kSizes) {
    dry.refuseMemory(0, bytes)
    for (let i = 0; i < 3; ++i) await put(reference.url(`t${i}`))
    expect(await work(reference, 0)).toBe(kAppends)
    for (const from of pointsUpTo(Math.max(1, dry.allocations()), 12)) points.push({ from, bytes })
  }
  await reference.kill()
  dry.close()
  let ends = 0
  const problems = await forEach(points, 3, async ({ from, bytes }) => {
    const dir = mkdtempSync(join(tmpdir(), 'ds-memory-'))
    const shim = new Shim(dir)
    const server = await Server.start({ dataDir: dir, args: kArgs, env: shim.env })
    try {
      shim.refuseMemory(from, bytes)
      const restart = async () => {
        ++ends
        const code = await within(20_000, 'the end', server.ended())
        if (code !== 1 || !/memory/.test(server.stderr)) return `ended with ${code}: ${server.stderr}`
        server.env = {}
        await server.restart()
        return ''
      }
      const answered = await work(server, 0)
      if (answered < kAppends) {
        const problem = await restart()
        if (problem !== '') return problem
        await work(server, answered)
      }
      for (let name = 0; name < 3; ++name) {
        let answer = await get(server.url(`s${name}`)).catch(() => null)
        if (answer === null) {
          // What is done in the background may be refused only now, when all is answered.
          const problem = await restart()
          if (problem !== '') return problem
          answer = await get(server.url(`s${name}`))
        }
        const { text } = answer
        if (text !== wanted(name)) return `s${name} holds ${text.length} bytes`
      }
      await server.kill()
      return await check(dir)
    } finally {
      await server.kill()
      shim.close()
      rmSync(dir, { recursive: true, force: true })
    }
  })
  expect(problems).toEqual([])
  console.log(`${points.length} refusals, ${ends} of them ended the server`)
  expect(ends).toBeGreaterThan(0)
})
