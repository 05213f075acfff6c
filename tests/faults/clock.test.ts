// Wall clocks that jump, as after a suspended machine wakes, or when somebody sets them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { del, get, head, kText, nextOffset, post, put, SseReader } from '../lib/http.ts'
import { within } from '../lib/fixture.ts'
import { Server } from '../lib/server.ts'
import { Shim } from './shim.ts'

const kHour = 3600
const kYear = 365 * 24 * kHour
// The server looks at the wall clock once a second.
const kNoticedMs = 2500

let dataDir: string
let shim: Shim
let server: Server
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'ds-clock-'))
  shim = new Shim(dataDir)
  server = await Server.start({
    dataDir,
    args: ['--generation-size', '64KiB', '--seal-after', '100ms', '--evict-after', '0s'],
    env: shim.env,
  })
})
afterEach(async () => {
  await server.kill()
  shim.close()
  rmSync(dataDir, { recursive: true, force: true })
})

const lifeOf = (offset: string): string => offset.slice(0, 16)

async function create(name: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await put(server.url(name), { ...kText, ...headers }, name)
  expect(answer.status).toBe(201)
  return nextOffset(answer)
}

/** Appends in order at the place that was promised, before and after. */
async function expectAppends(name: string): Promise<void> {
  const before = await head(server.url(name))
  const answer = await post(server.url(name), '+')
  expect(answer.status).toBe(204)
  expect(nextOffset(answer) > nextOffset(before)).toBe(true)
  expect((await get(`${server.url(name)}?offset=${nextOffset(before)}`)).text).toBe('+')
}

test.each([kHour, kYear])('forward by %i seconds: what has a time to live ends', async (seconds) => {
  await create('plain')
  await create('long', { 'Stream-TTL': String(2 * seconds) })
  await create('short', { 'Stream-TTL': '600' })
  await create('until', { 'Stream-Expires-At': new Date(Date.now() + 600_000).toISOString() })
  const reader = await SseReader.open(`${server.url('plain')}?offset=now&live=sse`)
  await reader.control()
  shim.moveClock(seconds)
  const gone = async (): Promise<void> => {
    for (const name of ['short', 'until']) {
      while ((await head(server.url(name))).status !== 404) await sleep(50)
    }
  }
  await within(20_000, 'expiry', gone())
  await expectAppends('plain')
  await expectAppends('long')
  // Whoever followed live is sent on, or told; never stuck.
  const event = await within(10_000, 'an event', reader.next())
  if (event !== null) expect(event.data).toContain('+')
  await server.kill()
  await server.restart()
  expect((await get(server.url('plain'))).text).toBe('plain+')
  expect((await head(server.url('short'))).status).toBe(404)
})

test.each([-kHour, -kYear])('by %i seconds: nothing ends early, lives go on growing', async (by) => {
  await create('plain')
  await create('short', { 'Stream-TTL': '600' })
  const first = await create('again')
  shim.moveClock(by)
  await sleep(kNoticedMs)
  await expectAppends('plain')
  await expectAppends('short')
  expect((await del(server.url('again'))).status).toBe(204)
  const second = await create('again')
  expect(lifeOf(second) > lifeOf(first)).toBe(true)
  // The next process knows only the wrong time.
  await server.kill()
  await server.restart()
  await expectAppends('plain')
  await expectAppends('short')
  expect((await del(server.url('again'))).status).toBe(204)
  const third = await create('again')
  expect(lifeOf(third) > lifeOf(second)).toBe(true)
  expect((await get(`${server.url('again')}?offset=${second}`)).status).toBe(410)
  // Sealed meanwhile, and forgotten.
  await sleep(1500)
  expect((await get(server.url('plain'))).text).toBe('plain++')
  shim.moveClock(0)
  await sleep(kNoticedMs)
  await expectAppends('plain')
  expect((await head(server.url('short'))).status).toBe(200)
})

test('there and back: a stream that has gone stays gone', async () => {
  await create('short', { 'Stream-TTL': '600' })
  const offset = await create('plain')
  shim.moveClock(kHour)
  const gone = async (): Promise<void> => {
    while ((await head(server.url('short'))).status !== 404) await sleep(50)
  }
  await within(20_000, 'expiry', gone())
  shim.moveClock(0)
  await server.kill()
  await server.restart()
  expect((await head(server.url('short'))).status).toBe(404)
  const later = await create('short')
  expect(lifeOf(later) > lifeOf(offset)).toBe(true)
  await expectAppends('plain')
})
