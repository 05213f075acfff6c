// The protocol in short words, over fetch.

export interface Answer {
  status: number
  headers: Headers
  text: string
  bytes: Buffer
}

type Body = string | Uint8Array<ArrayBuffer>
type HeaderValues = Record<string, string>

// Longer than anything is meant to take: a server that does not answer fails the test that asked.
const kAnswerMs = 60_000

export async function send(
  method: string,
  url: string,
  headers: HeaderValues = {},
  body?: Body,
  signal?: AbortSignal,
): Promise<Answer> {
  const answer = await fetch(url, {
    method,
    headers,
    redirect: 'manual',
    ...(body === undefined ? {} : { body }),
    signal: signal ?? AbortSignal.timeout(kAnswerMs),
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  return { status: answer.status, headers: answer.headers, text: bytes.toString('utf8'), bytes }
}

export const kText: HeaderValues = { 'Content-Type': 'text/plain' }
export const kJson: HeaderValues = { 'Content-Type': 'application/json' }
export const kBinary: HeaderValues = { 'Content-Type': 'application/octet-stream' }

export function put(url: string, headers: HeaderValues = kText, body?: Body): Promise<Answer> {
  return send('PUT', url, headers, body)
}

export function post(url: string, body: Body, headers: HeaderValues = kText): Promise<Answer> {
  return send('POST', url, headers, body)
}

export function close(url: string, headers: HeaderValues = {}): Promise<Answer> {
  return send('POST', url, { 'Stream-Closed': 'true', ...headers })
}

export function get(url: string, headers: HeaderValues = {}): Promise<Answer> {
  return send('GET', url, headers)
}

export function head(url: string): Promise<Answer> {
  return send('HEAD', url)
}

export function del(url: string): Promise<Answer> {
  return send('DELETE', url)
}

export function producer(id: string, epoch: number, seq: number): HeaderValues {
  return { 'Producer-Id': id, 'Producer-Epoch': String(epoch), 'Producer-Seq': String(seq) }
}

export function nextOffset(answer: Answer): string {
  const offset = answer.headers.get('stream-next-offset')
  if (offset === null)
    throw new Error(`no Stream-Next-Offset in a ${answer.status}: ${answer.text}`)
  return offset
}

/** The code of an error body, which is the same JSON everywhere. */
export function errorCode(answer: Answer): string {
  const body = JSON.parse(answer.text) as { code?: unknown; error?: unknown }
  if (typeof body.code !== 'string' || typeof body.error !== 'string') {
    throw new Error(`not an error body: ${answer.text}`)
  }
  return body.code
}

export interface WholeStream {
  bytes: Buffer
  offset: string
  closed: boolean
}

/** Reads a stream from `offset` to its tail, answer by answer. */
export async function readAll(url: string, offset = '-1'): Promise<WholeStream> {
  const parts: Buffer[] = []
  for (;;) {
    const answer = await get(`${url}?offset=${offset}`)
    if (answer.status !== 200) throw new Error(`GET answered ${answer.status}: ${answer.text}`)
    parts.push(answer.bytes)
    offset = nextOffset(answer)
    if (answer.headers.has('stream-up-to-date')) {
      const closed = answer.headers.has('stream-closed')
      return { bytes: Buffer.concat(parts), offset, closed }
    }
  }
}

/** The position that an offset names: offsets are "<incarnation>_<absolute byte position>". */
export function positionOf(offset: string): number {
  const match = /^\d{16}_(\d{16})$/.exec(offset)
  if (match === null) throw new Error(`not an offset: ${offset}`)
  return Number(match[1])
}

export interface SseEvent {
  type: string
  data: string
}

export interface SseControl {
  streamNextOffset: string
  streamCursor?: string
  upToDate?: boolean
  streamClosed?: boolean
}

/** A live reader over SSE, read event by event. */
export class SseReader {
  private buffered = ''
  private comments = 0
  private readonly decoder = new TextDecoder()

  private constructor(
    readonly status: number,
    readonly headers: Headers,
    private readonly reader: ReadableStreamDefaultReader<Uint8Array>,
    private readonly abort: AbortController,
  ) {}

  static async open(url: string): Promise<SseReader> {
    const abort = new AbortController()
    const answer = await fetch(url, { signal: abort.signal })
    if (answer.body === null) throw new Error('no body')
    return new SseReader(answer.status, answer.headers, answer.body.getReader(), abort)
  }

  /** The comment lines (heartbeats) seen so far. */
  get heartbeats(): number {
    return this.comments
  }

  /** The next event, or null at the end of the response. */
  async next(): Promise<SseEvent | null> {
    for (;;) {
      const end = this.buffered.indexOf('\n\n')
      if (end >= 0) {
        const block = this.buffered.slice(0, end)
        this.buffered = this.buffered.slice(end + 2)
        const event = this.decode(block)
        if (event !== null) return event
        continue
      }
      const { done, value } = await this.reader.read()
      if (done) return null
      this.buffered += this.decoder.decode(value, { stream: true })
    }
  }

  /** Like next(), for an event that must be a control. */
  async control(): Promise<SseControl> {
    const event = await this.next()
    if (event?.type !== 'control') throw new Error(`not a control: ${JSON.stringify(event)}`)
    return JSON.parse(event.data) as SseControl
  }

  /** All events up to the end of the response. */
  async rest(): Promise<SseEvent[]> {
    const events: SseEvent[] = []
    for (let event = await this.next(); event !== null; event = await this.next())
      events.push(event)
    return events
  }

  /** Reads until the client is up to date; returns the data in between. */
  async untilUpToDate(): Promise<{ data: string; control: SseControl }> {
    let data = ''
    for (;;) {
      const event = await this.next()
      if (event === null) throw new Error('the response ended early')
      if (event.type === 'data') {
        data += event.data
        continue
      }
      const control = JSON.parse(event.data) as SseControl
      if (control.upToDate === true || control.streamClosed === true) return { data, control }
    }
  }

  close(): void {
    this.abort.abort()
  }

  private decode(block: string): SseEvent | null {
    let type = ''
    const data: string[] = []
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) ++this.comments
      else if (line.startsWith('event:')) type = line.slice(6).trim()
      else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''))
    }
    return type === '' ? null : { type, data: data.join('\n') }
  }
}
