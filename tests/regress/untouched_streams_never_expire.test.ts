// The Cloudflare implementation frees an expired stream only when somebody asks for it, and Caddy
// has a cleaner whose interval nothing sets: streams that nobody touches stay for ever.
import { expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshName, useServer, within } from '../lib/fixture.ts'
import { get, kText, put } from '../lib/http.ts'

const server = useServer({ threads: 4 })

async function metric(name: string): Promise<number> {
  const { text } = await get(`${server().origin}/metrics`)
  const lines = text.split('\n').filter((line) => line.startsWith(name))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

async function untilGone(): Promise<void> {
  while ((await metric('ds_streams')) > 0) await sleep(100)
}

test('streams expire without being asked for, also over a restart', async () => {
  for (let i = 0; i < 20; ++i) {
    const expires = new Date(Date.now() + 1000).toISOString()
    const lifetime: Record<string, string> =
      i % 2 === 0 ? { 'Stream-TTL': '1' } : { 'Stream-Expires-At': expires }
    await put(server().url(freshName()), { ...kText, ...lifetime }, 'x')
  }
  await within(20_000, 'expiry', untilGone())
  expect(await metric('ds_expired_streams_total')).toBe(20)
  for (let i = 0; i < 20; ++i) {
    await put(server().url(freshName()), { ...kText, 'Stream-TTL': '1' }, 'x')
  }
  await server().kill()
  await server().restart()
  await within(20_000, 'expiry after a restart', untilGone())
})
