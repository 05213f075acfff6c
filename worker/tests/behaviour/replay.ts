// Sends the script and writes each answer down, with what differs from run to run replaced: lives by
// the order in which they were met, times and cursors by their names.
import { request } from 'node:http'
import type { Step } from './script.ts'

export interface Written {
  step: string
  status: number
  headers: Record<string, string>
  body: string
}

// Differences between the hosts, each in docs/cloudflare.md: what HTTP servers add on their own, and
// what only the worker has.
const kLeftOut = new Set([
  'date',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'x-cache',
  'age',
  'cf-cache-status',
])

interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

function send(origin: string, step: Step, target: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = new URL(origin)
    const sent = request(
      { host: url.hostname, port: url.port, method: step.method, path: target, headers },
      (answer) => {
        const pieces: Buffer[] = []
        answer.on('data', (piece: Buffer) => pieces.push(piece))
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: Object.fromEntries(
              Object.entries(answer.headers).map(([name, value]) => [name, String(value)]),
            ),
            body: Buffer.concat(pieces).toString('utf8'),
          }),
        )
        answer.on('error', reject)
      },
    )
    sent.on('error', reject)
    sent.end(step.body)
  })
}

export async function replay(origin: string, script: readonly Step[]): Promise<Written[]> {
  const offsets = new Map<string, string>()
  const lives = new Map<string, string>()
  const host = new URL(origin).host
  const plain = (text: string): string =>
    text
      .replaceAll(host, 'host')
      .replace(/\b(1[0-9]{15})(?=[_:])/g, (life) => {
        if (!lives.has(life)) lives.set(life, `life-${lives.size + 1}`)
        return lives.get(life)!
      })
      .replace(/"streamCursor":"\d{7}"/g, '"streamCursor":"now"')
  const filled = (text: string): string =>
    text.replace(/\$([a-z/]+)/g, (_, name: string) => offsets.get(name) ?? '')

  const written: Written[] = []
  for (const step of script) {
    const path = step.path.startsWith('/') ? step.path : `/v1/stream/${step.path}`
    const target = step.query === undefined ? path : `${path}?${filled(step.query)}`
    const sent: Record<string, string> = {}
    for (const [name, value] of Object.entries(step.headers ?? {})) sent[name] = filled(value)
    if (step.body !== undefined) sent['Content-Length'] = String(Buffer.byteLength(step.body))
    const answer = await send(origin, step, target, sent)
    const next = answer.headers['stream-next-offset']
    if (next !== undefined) offsets.set(step.path, next)
    const headers: Record<string, string> = {}
    for (const name of Object.keys(answer.headers).sort()) {
      if (!kLeftOut.has(name)) headers[name] = plain(answer.headers[name]!)
    }
    if (sent['X-Request-Id'] === undefined) headers['x-request-id'] &&= 'made up'
    for (const name of ['stream-write-timestamp', 'stream-cursor']) {
      if (/^(\d{13}|\d{7})$/.test(headers[name] ?? '')) headers[name] = 'now'
    }
    const query = step.query === undefined ? '' : `?${step.query}`
    written.push({
      step: `${step.method} ${step.path}${query}`,
      status: answer.status,
      headers,
      body: plain(answer.body),
    })
  }
  return written
}
