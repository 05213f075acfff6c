// Caddy's store deadlocks at every start once one fork exists: it compares a fork's logical offset
// with the size of its file, and repairs the "difference" under a lock that it already holds.
import { describe, expect, test } from 'vitest'
import { within } from '../lib/fixture.ts'
import { del, get, kJson, kText, post, put } from '../lib/http.ts'
import { Server } from '../lib/server.ts'

describe.each([1, 4])('--threads %i', (threads) => {
  test('a chain of forks is there after a clean restart and after a crash', async () => {
    const server = await Server.start({ threads })
    try {
      const url = (name: string): string => server.url(name)
      const fork = (of: string): Record<string, string> => ({
        'Stream-Forked-From': `/v1/stream/${of}`,
      })
      await put(url('root'), kText, 'root;')
      let expected = 'root;'
      const wanted = new Map([['root', 'root;root grows;']])
      let parent = 'root'
      for (let i = 0; i < 8; ++i) {
        const name = `fork-${i}`
        expect((await put(url(name), fork(parent))).status).toBe(201)
        await post(url(name), `${name};`)
        expected += `${name};`
        wanted.set(name, expected)
        parent = name
      }
      await post(url('root'), 'root grows;')
      await put(url('json'), kJson, '[1,2]')
      await put(url('json-fork'), fork('json'))
      await post(url('json-fork'), '[3]', kJson)
      await del(url('fork-3'))
      const check = async (): Promise<void> => {
        for (const [name, text] of wanted) {
          const answer = await get(url(name))
          if (name === 'fork-3') expect(answer.status).toBe(410)
          else expect(answer.text, name).toBe(text)
        }
        expect((await get(url('json-fork'))).text).toBe('[1,2,3]')
      }
      await check()
      for (const end of ['clean', 'crash'] as const) {
        if (end === 'clean') expect(await server.terminate()).toBe(0)
        else await server.kill()
        await within(10_000, `restart after a ${end} end`, server.restart())
        await check()
      }
    } finally {
      await server.stop()
    }
  })
})
