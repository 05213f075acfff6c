// 10,000 malformed requests leave the server up and every stream as it was, and are answered with
// errors that machines can read: never a 5xx but 501 and 505.
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { close, get, head, kJson, kText, post, put } from '../lib/http.ts'
import { Random, runSeed } from '../lib/random.ts'
import { exchange, startsWithHead, type RawAnswer } from '../lib/raw.ts'
import { Server } from '../lib/server.ts'
import { malformed } from './fuzz.ts'

const kRequests = Number(process.env.DS_TEST_MALFORMED ?? 10_000)
const kAtOnce = 32
const kWaitMs = 2000

async function makeProtected(server: Server): Promise<string[]> {
  const names = ['text', 'json', 'closed', 'empty', 'nested/a/b', 'fork', 'written'].map(
    (name) => `protected/${name}`,
  )
  const url = (name: string): string => server.url(`protected/${name}`)
  await put(url('text'), kText, 'some text')
  await put(url('json'), kJson, '[1, {"two": 2}, "three"]')
  await put(url('closed'), { ...kText, 'Stream-Closed': 'true' }, 'final')
  await put(url('empty'), kText)
  await put(url('nested/a/b'), kText, 'x'.repeat(100_000))
  await put(url('fork'), { 'Stream-Forked-From': '/v1/stream/protected/text' })
  await post(url('fork'), ' and more')
  await put(url('written'), kText)
  for (let i = 0; i < 20; ++i) await post(url('written'), `line ${i}\n`)
  await close(url('written'))
  return names
}

/** Everything that a client can see of the streams. */
async function fingerprint(server: Server, names: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const name of names) {
    for (const answer of [await get(server.url(name)), await head(server.url(name))]) {
      const seen = ['content-type', 'stream-next-offset', 'stream-closed', 'etag', 'stream-ttl']
      hash.update(
        `${name} ${answer.status} ${seen.map((key) => answer.headers.get(key)).join(' ')}`,
      )
      hash.update(answer.bytes)
    }
  }
  return hash.digest('hex')
}

test(`${kRequests} malformed requests change nothing`, { timeout: 300_000 }, async () => {
  const seed = runSeed()
  console.log(`DS_TEST_SEED=${seed}`)
  const random = new Random(seed)
  const server = await Server.start({ args: ['--long-poll-timeout', '500ms'] })
  try {
    const names = await makeProtected(server)
    const pid = server.pid
    const before = await fingerprint(server, names)
    const paths = names.map((name) => `/v1/stream/${name}`)
    const statuses = new Map<number, number>()
    const complaints: string[] = []
    let next = 0
    const attacker = async (own: Random): Promise<void> => {
      while (next < kRequests && complaints.length < 10) {
        const number = next++
        const request = malformed(own, paths)
        const { answers } = await exchange(server.port, request, {
          count: 1,
          waitMs: kWaitMs,
          half: true,
        }).catch((error: unknown) => {
          // Among pipelined answers those to HEAD have no body, which nobody can tell from here.
          if (!request.includes('HEAD ')) {
            complaints.push(`#${number}: ${String(error)}\n${show(request)}`)
          }
          return { answers: [] as RawAnswer[] }
        })
        // A HEAD's error has no body to look at.
        const bodiless = startsWithHead(request)
        for (const { status, headers, body } of answers) {
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          const fault =
            status >= 500 && status !== 501 && status !== 505
              ? 'a 5xx'
              : status >= 400 &&
                  !bodiless &&
                  !/^\{"code":"[a-z_]+","error":".+"\}$/.test(body.toString())
                ? 'no error body'
                : status >= 400 && headers.get('cache-control') !== 'no-store'
                  ? 'an error without no-store'
                  : null
          if (fault !== null) {
            complaints.push(`#${number}: ${fault}: ${status} ${body.toString()}\n${show(request)}`)
          }
        }
        if (number % 500 === 0) {
          expect((await get(`${server.origin}/health`)).status).toBe(200)
        }
      }
    }
    await Promise.all(Array.from({ length: kAtOnce }, () => attacker(random.fork())))
    const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, n]) => `${status}: ${n}`)
    console.log(`answers by status: ${counts.join(', ')}`)
    expect(complaints.join('\n\n')).toBe('')
    expect(server.running, server.stderr.slice(-2000)).toBe(true)
    expect(server.pid).toBe(pid)
    expect(await fingerprint(server, names)).toBe(before)
    // And it can still do its work, now and after a restart from what it has recorded.
    await server.kill()
    await server.restart()
    expect(await fingerprint(server, names)).toBe(before)
    expect((await put(server.url('after'), kText, 'well')).status).toBe(201)
  } finally {
    await server.stop()
  }
})

function show(request: Buffer): string {
  const text = JSON.stringify(request.toString('latin1'))
  return text.length > 600 ? `${text.slice(0, 600)}…` : text
}
