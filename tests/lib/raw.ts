// HTTP/1.1 over a bare socket: pipelining, requests that no client library would send, and answers
// byte for byte.
import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  status: number
  /** Names in lower case; repeated ones joined by ", ". */
  headers: Map<string, string>
  body: Buffer
}

/** What an answer's bytes are, as far as they have come. */
type Parsed = { answer: RawAnswer; length: number } | 'incomplete'

function parse(bytes: Buffer, isHead: boolean, ended: boolean): Parsed {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return 'incomplete'
  const lines = bytes.subarray(0, headEnd).toString('latin1').split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})( |$)/.exec(lines[0] ?? '')?.[1] ?? NaN)
  if (Number.isNaN(status)) throw new Error(`not a status line: ${lines[0]}`)
  const headers = new Map<string, string>()
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':')
    if (colon <= 0) throw new Error(`not a header line: ${line}`)
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const earlier = headers.get(name)
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`)
  }
  const start = headEnd + 4
  const done = (body: Buffer, end: number): Parsed => ({
    answer: { status, headers, body },
    length: end,
  })
  if (isHead || status === 204 || status === 304 || status < 200)
    return done(Buffer.alloc(0), start)
  if (headers.get('transfer-encoding')?.toLowerCase() === 'chunked') {
    const parts: Buffer[] = []
    let at = start
    for (;;) {
      const lineEnd = bytes.indexOf('\r\n', at)
      if (lineEnd < 0) return 'incomplete'
      const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16)
      if (Number.isNaN(size)) throw new Error('bad chunk size in an answer')
      const chunkEnd = lineEnd + 2 + size
      if (bytes.length < chunkEnd + 2) return 'incomplete'
      parts.push(bytes.subarray(lineEnd + 2, chunkEnd))
      at = chunkEnd + 2
      if (size === 0) return done(Buffer.concat(parts), at)
    }
  }
  const declared = headers.get('content-length')
  if (declared === undefined) {
    return ended ? done(bytes.subarray(start), bytes.length) : 'incomplete'
  }
  const end = start + Number(declared)
  return bytes.length < end ? 'incomplete' : done(bytes.subarray(start, end), end)
}

interface Waiter {
  isHead: boolean
  resolve: (answer: RawAnswer) => void
  reject: (reason: Error) => void
}

/** One connection on which requests may be pipelined. Interim (1xx) answers are skipped. */
export class RawConnection {
  private buffered: Buffer = Buffer.alloc(0)
  private waiters: Waiter[] = []
  private failure: Error | null = null

  private constructor(readonly socket: Socket) {
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => {
      this.buffered = this.buffered.length === 0 ? bytes : Buffer.concat([this.buffered, bytes])
      this.drain(false)
    })
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => {
      this.drain(true)
      this.fail(new Error('connection closed'))
    })
  }

  static open(port: number): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new RawConnection(socket))
      })
    })
  }

  get open(): boolean {
    return this.failure === null
  }

  /** Sends `bytes` as they are. */
  write(bytes: string | Buffer): void {
    this.socket.write(bytes)
  }

  /** The next answer on this connection, in order. */
  answer(isHead = false): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      this.waiters.push({ isHead, resolve, reject })
      this.drain(this.failure !== null)
      if (this.failure !== null) this.fail(this.failure)
    })
  }

  request(
    method: string,
    target: string,
    headers: Record<string, string> = {},
    body?: string | Buffer,
  ): Promise<RawAnswer> {
    this.write(encodeRequest(method, target, headers, body))
    return this.answer(method === 'HEAD')
  }

  close(): void {
    this.socket.destroy()
  }

  private drain(ended: boolean): void {
    try {
      for (let waiter = this.waiters[0]; waiter !== undefined; waiter = this.waiters[0]) {
        const parsed = parse(this.buffered, waiter.isHead, ended)
        if (parsed === 'incomplete') return
        this.buffered = this.buffered.subarray(parsed.length)
        if (parsed.answer.status < 200) continue
        this.waiters.shift()
        waiter.resolve(parsed.answer)
      }
    } catch (error) {
      this.fail(error as Error)
    }
  }

  private fail(reason: Error): void {
    this.failure ??= reason
    for (const waiter of this.waiters.splice(0)) waiter.reject(this.failure)
  }
}

export function encodeRequest(
  method: string,
  target: string,
  headers: Record<string, string> = {},
  body?: string | Buffer,
): Buffer {
  let head = `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n`
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(body)
  if (body !== undefined || method === 'POST' || method === 'PUT') {
    head += `Content-Length: ${bytes.length}\r\n`
  }
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), bytes])
}

/** Whether the first answer to these bytes has no body, as far as can be told. */
export function startsWithHead(bytes: Buffer | string): boolean {
  return /^\s*HEAD /.test(bytes.toString('latin1'))
}

export interface Exchange {
  answers: RawAnswer[]
  /** The status of each interim (1xx) answer. */
  interim: number[]
  /** Whether the server ended the connection, within the time given. */
  closed: boolean
  /** What came after the last whole answer. */
  rest: Buffer
}

/**
 * Sends bytes on a connection of its own and collects all that comes back until the server closes,
 * `count` answers are there, or `waitMs` have passed. Fails if what comes back is not HTTP.
 */
export function exchange(
  port: number,
  bytes: Buffer | string,
  { count = Infinity, waitMs = 5000, half = false } = {},
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const answers: RawAnswer[] = []
    const interim: number[] = []
    let rest: Buffer = Buffer.alloc(0)
    let settled = false
    const finish = (closed: boolean): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      socket.destroy()
      resolve({ answers, interim, closed, rest })
    }
    // Only the first request's method is known; what follows a HEAD may not be told apart.
    const headFirst = startsWithHead(bytes)
    const drain = (ended: boolean): void => {
      for (;;) {
        const parsed = parse(rest, headFirst && answers.length === 0, ended)
        if (parsed === 'incomplete') return
        rest = rest.subarray(parsed.length)
        if (parsed.answer.status < 200) interim.push(parsed.answer.status)
        else answers.push(parsed.answer)
        if (rest.length === 0 && ended) return
      }
    }
    const timer = setTimeout(() => finish(false), waitMs)
    socket.on('connect', () => {
      if (half) socket.end(bytes)
      else socket.write(bytes)
    })
    const take = (ended: boolean): void => {
      try {
        drain(ended)
      } catch (error) {
        clearTimeout(timer)
        socket.destroy()
        reject(error as Error)
      }
    }
    socket.on('data', (more: Buffer) => {
      rest = Buffer.concat([rest, more])
      take(false)
      if (answers.length >= count) finish(false)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      take(true)
      finish(true)
    })
  })
}
