// What a server shows of some streams, in a form that can be compared between runs: no lives.
import { createHash } from 'node:crypto'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { get, positionOf, readAll } from '../lib/http.ts'
import { serverBinary, type Server } from '../lib/server.ts'

const kCheckMs = 60_000

/** "200 open 4711 3a5f…", "404"; of a stream that lets go of its beginning only what is kept. */
export async function observe(server: Server, names: readonly string[]): Promise<string[]> {
  return Promise.all(
    names.map(async (name) => {
      const url = server.url(name)
      const first = await get(url)
      if (first.status !== 200) return `${name}: ${first.status}`
      const whole = await readAll(url)
      const hash = createHash('sha256').update(whole.bytes).digest('hex').slice(0, 16)
      const end = positionOf(whole.offset)
      return `${name}: 200 ${whole.closed ? 'closed' : 'open'} ${end} ${hash}`
    }),
  )
}

/** What is wrong with a stream that keeps at least the last `kept` bytes of `written`, or "". */
export async function lookAtTrimmed(url: string, written: Buffer, kept: number): Promise<string> {
  // It may let go of more while it is read: where it begins is told by what comes.
  const whole = await readAll(url)
  if (positionOf(whole.offset) !== written.length) return `ends at ${whole.offset}`
  const begin = written.length - whole.bytes.length
  if (begin > written.length - kept) return `begins at ${begin} of ${written.length}`
  return whole.bytes.equals(written.subarray(begin)) ? '' : `other bytes from ${begin} on`
}

/** Runs `durable-streams check`; its lines if it finds something, or "". */
export async function check(dataDir: string): Promise<string> {
  const child = spawn(serverBinary(), ['check', '--data-dir', dataDir], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: kCheckMs,
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (more: string) => (text += more))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return code === 0 ? '' : `check: exit code ${code}\n${text}`
}
