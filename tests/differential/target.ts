// One of the two servers, as a sequence sees it: sends steps, fills in what earlier answers said.
import { send } from '../lib/http.ts'
import { RawConnection } from '../lib/raw.ts'
import type { Step, Value } from './sequence.ts'

export interface Seen {
  status: number
  /** Names in lower case. */
  headers: Map<string, string>
  body: Buffer
  /** Of a live reader over SSE, as far as its first "up to date". */
  sse?: { data: string; control: Record<string, unknown> }
}

const kSseWaitMs = 5000

/** The events of a part of a stream: what is in data events, and the last control. */
function readEvents(text: string): { data: string; control: Record<string, unknown> | null } {
  let data = ''
  let control: Record<string, unknown> | null = null
  for (const block of text.split('\n\n').slice(0, -1)) {
    const lines = block.split('\n')
    const type = lines
      .find((line) => line.startsWith('event:'))
      ?.slice(6)
      .trim()
    const content = lines
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).replace(/^ /, ''))
      .join('\n')
    if (type === 'data') data += `${content}\u0000`
    if (type === 'control') control = JSON.parse(content) as Record<string, unknown>
  }
  return { data, control }
}

export class Target {
  private connection: RawConnection | null = null
  private readonly answers = new Map<number, Seen>()

  /** `folder` keeps the streams of a sequence apart from those of all others. */
  constructor(
    readonly name: string,
    private readonly port: number,
    private readonly folder: string,
  ) {}

  async send(step: Step): Promise<Seen> {
    const query = step.query.map(
      ([name, value]) => `${name}=${encodeURIComponent(this.text(value))}`,
    )
    const target = this.path(step.stream) + (query.length > 0 ? `?${query.join('&')}` : '')
    const headers: Record<string, string> = {}
    for (const [name, value] of step.headers) headers[name] = this.text(value)
    const seen =
      step.method === 'GET' &&
      step.query.some(([name, value]) => name === 'live' && value === 'sse')
        ? await this.readSse(target, headers)
        : await this.exchange(step.method, target, headers, step.body)
    this.answers.set(step.id, seen)
    return seen
  }

  /** Later steps that refer to this header of that answer do without. */
  forget(id: number, header: string): void {
    const answer = this.answers.get(id)
    if (answer === undefined) return
    const headers = new Map(answer.headers)
    headers.delete(header)
    this.answers.set(id, { ...answer, headers })
  }

  close(): void {
    this.connection?.close()
    this.connection = null
  }

  path(stream: string): string {
    return `/v1/stream/${this.folder}/${stream}`
  }

  private text(value: Value): string {
    if (typeof value === 'string') {
      return value.startsWith('stream:') ? this.path(value.slice(7)) : value
    }
    const answer = this.answers.get(value.from)
    if (value.what === 'etag') return answer?.headers.get('etag') ?? '"none"'
    return answer?.headers.get('stream-next-offset') ?? '-1'
  }

  private async exchange(
    method: string,
    target: string,
    headers: Record<string, string>,
    body: string | undefined,
  ): Promise<Seen> {
    if (this.connection === null || !this.connection.open) {
      this.connection = await RawConnection.open(this.port)
    }
    const answer = await this.connection.request(method, target, headers, body)
    if (answer.headers.get('connection')?.toLowerCase() === 'close') this.close()
    return answer
  }

  private async readSse(target: string, headers: Record<string, string>): Promise<Seen> {
    const abort = new AbortController()
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(kSseWaitMs)])
    const url = `http://127.0.0.1:${this.port}${target}`
    const answer = await fetch(url, { headers, signal })
    const seen: Seen = {
      status: answer.status,
      headers: new Map([...answer.headers]),
      body: Buffer.alloc(0),
    }
    if (answer.status !== 200 || answer.body === null) {
      await answer.body?.cancel()
      return seen
    }
    const decoder = new TextDecoder()
    let text = ''
    for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(part, { stream: true })
      const { data, control } = readEvents(text)
      if (control === null) continue
      seen.sse = { data, control }
      if (control.upToDate === true || control.streamClosed === true) break
    }
    abort.abort()
    return seen
  }
}

/** Whether it is still there. */
export async function answers(port: number): Promise<boolean> {
  return send('GET', `http://127.0.0.1:${port}/v1/stream/none/none`).then(
    ({ status }) => status === 404,
    () => false,
  )
}
