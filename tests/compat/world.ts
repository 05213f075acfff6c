// What is in the kept data directories: written by make.test.ts, looked for by compat.test.ts.
import {
  close,
  del,
  get,
  head,
  kJson,
  kText,
  nextOffset,
  post,
  producer,
  put,
  readAll,
} from '../lib/http.ts'
import type { Server } from '../lib/server.ts'

export const kArgs = ['--generation-size', '64KiB', '--evict-after', '0s', '--ballast', '0']
export const kSealing = ['--seal-after', '100ms']

const kNames = ['text', 'json', 'closed', 'source', 'fork', 'deleted', 'trimmed', 'log-only']
const kExpires = '2099-01-01T00:00:00Z'

/** Repeated in every build to come: no randomness. */
function words(seed: number, bytes: number): string {
  let text = ''
  for (let x = seed; text.length < bytes; x = (x * 48271) % 2147483647) text += `${x} `
  return text.slice(0, bytes)
}

async function done(answer: Promise<{ status: number; text: string }>): Promise<void> {
  const { status, text } = await answer
  if (status >= 300) throw new Error(`answered ${status}: ${text}`)
}

/** Of every kind of stream one; what is written here ends up in segments. */
export async function writeSealed(server: Server): Promise<void> {
  const url = (name: string): string => server.url(name)
  await done(put(url('text'), { ...kText, 'Stream-Expires-At': kExpires }))
  for (let i = 0; i < 40; ++i) {
    await done(post(url('text'), words(i + 1, 3000), { ...kText, ...producer('p', 3, i) }))
  }
  await done(put(url('json'), kJson, '[{"a":1},"two",3e400]'))
  await done(post(url('json'), '{"\\ud800":[null]}', { ...kJson, 'Stream-Seq': '0007' }))
  await done(put(url('closed'), kText, 'the end'))
  await done(close(url('closed')))
  await done(put(url('source'), kText, 'shared,'))
  await done(post(url('source'), 'shared too,'))
  await done(put(url('fork'), { ...kText, 'Stream-Forked-From': '/v1/stream/source' }))
  await done(post(url('source'), 'not shared,'))
  await done(post(url('fork'), 'own'))
  await done(del(url('source')))
  await done(put(url('deleted'), kText, 'x'))
  await done(del(url('deleted')))
  await done(put(url('trimmed'), { ...kText, 'Stream-Max-Bytes': '5000' }))
  for (let i = 0; i < 30; ++i) await done(post(url('trimmed'), words(i + 100, 4000)))
}

/** And what is written here stays in the log. */
export async function writeUnsealed(server: Server): Promise<void> {
  await done(post(server.url('text'), 'in the log', { ...kText, ...producer('p', 3, 40) }))
  await done(post(server.url('fork'), ', in the log'))
  await done(put(server.url('log-only'), kText, 'never sealed'))
}

export interface Shown {
  status: number
  text: string
  contentType: string | null
  closed: boolean
  offset: string | null
  earliest: string | null
  expires: string | null
}

/** All that the server shows of the streams, lives and offsets included. */
export async function show(server: Server): Promise<Record<string, Shown>> {
  const shown: Record<string, Shown> = {}
  for (const name of kNames) {
    const url = server.url(name)
    const facts = await head(url)
    const whole = facts.status === 200 ? await readAll(url) : null
    shown[name] = {
      status: facts.status,
      text: whole?.bytes.toString('utf8') ?? '',
      contentType: facts.headers.get('content-type'),
      closed: facts.headers.has('stream-closed'),
      offset: facts.headers.get('stream-next-offset'),
      earliest: facts.headers.get('stream-earliest-offset'),
      expires: facts.headers.get('stream-expires-at'),
    }
  }
  return shown
}

/** What goes on from what was stored: producers, sequences, forks, lives. Throws if it does not. */
export async function goOn(server: Server): Promise<void> {
  const url = (name: string): string => server.url(name)
  const expectStatus = (what: string, status: number, wanted: number): void => {
    if (status !== wanted) throw new Error(`${what} answered ${status}, not ${wanted}`)
  }
  const retry = await post(url('text'), 'in the log', { ...kText, ...producer('p', 3, 40) })
  expectStatus("a producer's repetition", retry.status, 204)
  const next = await post(url('text'), '!', { ...kText, ...producer('p', 3, 41) })
  expectStatus("a producer's next append", next.status, 200)
  const stale = await post(url('text'), '!', { ...kText, ...producer('p', 2, 0) })
  expectStatus('an old epoch', stale.status, 403)
  const seq = await post(url('json'), '1', { ...kJson, 'Stream-Seq': '0006' })
  expectStatus('an older Stream-Seq', seq.status, 409)
  expectStatus('an append to what is closed', (await post(url('closed'), 'x')).status, 409)
  expectStatus('an append to a source that is gone', (await post(url('source'), 'x')).status, 410)
  expectStatus('the same path again', (await put(url('deleted'), kText)).status, 201)
  expectStatus('the end of the fork', (await del(url('fork'))).status, 204)
  const before = nextOffset(await head(url('log-only')))
  expectStatus('an append', (await post(url('log-only'), '+')).status, 204)
  const read = await get(`${url('log-only')}?offset=${before}`)
  if (read.text !== '+') throw new Error(`read ${read.text} after ${before}`)
}
