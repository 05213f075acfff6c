// A client's SSE response, held here at the edge, and the socket to the stream's object that feeds
// it. The object may be evicted meanwhile: heartbeats and the response's end are timed here.
//
// A client that is slower than its stream loses its socket, not its place: once it has taken what
// is queued, another socket goes on where it stands. The same if the object was reset.
import type { Module } from './module.ts'
import { kPing, kReady, parseFrame } from './reader_socket.ts'
import { numberSetting, type Env } from './settings.ts'
import type { StreamObject } from './stream_object.ts'

type Stub = DurableObjectStub<StreamObject>

const kLifetimeMs = 15 * 60_000
const kHeartbeatMs = 15_000
const kQueueBytes = 64 << 10
// So much may be queued beyond that before the client counts as slow.
const kLagBytes = 256 << 10
const kTriesMax = 3
const kRetryMs = 250
const kEnded = 1000

class Bridge {
  readonly body: ReadableStream<Uint8Array>
  private controller!: ReadableStreamDefaultController<Uint8Array>
  private socket: WebSocket | null = null
  private at = -1
  private readyDue = false
  private answered = true
  private lagging = false
  private over = false
  private tries = 0
  private readonly heartbeat: ReturnType<typeof setInterval>
  private readonly lifetime: ReturnType<typeof setTimeout>

  constructor(
    private readonly request: Request,
    // Each time another: one that has met with a failure serves no more.
    private readonly stub: () => Stub,
    private readonly reader: string,
    private readonly heartbeatBytes: Uint8Array,
    env: Env,
  ) {
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.controller = controller
        },
        pull: () => this.drained(),
        cancel: () => this.end(),
      },
      { highWaterMark: kQueueBytes, size: (chunk) => chunk?.byteLength ?? 1 },
    )
    this.heartbeat = setInterval(
      () => this.beat(),
      numberSetting(env.SSE_HEARTBEAT_MS, kHeartbeatMs),
    )
    this.lifetime = setTimeout(
      () => this.end(),
      numberSetting(env.SSE_LIFETIME_MS, kLifetimeMs) * (0.9 + Math.random() / 5),
    )
  }

  attach(socket: WebSocket): void {
    this.socket = socket
    this.answered = true
    socket.binaryType = 'arraybuffer'
    socket.accept()
    socket.addEventListener('message', ({ data }) => {
      if (socket !== this.socket) return
      this.answered = true
      this.tries = 0
      if (data instanceof ArrayBuffer) this.take(data)
    })
    const closed = (event: { code?: number }): void => {
      if (socket !== this.socket) return
      this.socket = null
      if (event.code === kEnded) this.end()
      else void this.goOn()
    }
    socket.addEventListener('close', closed)
    socket.addEventListener('error', () => closed({}))
  }

  private take(message: ArrayBuffer): void {
    if (this.over) return
    const frame = parseFrame(message)
    // A socket that took over may repeat what is here already.
    if (this.at >= 0 && frame.begin < this.at) return
    this.at = frame.end
    this.controller.enqueue(frame.bytes)
    if (frame.pulled) {
      this.readyDue = true
      if ((this.controller.desiredSize ?? 0) > 0) this.drained()
    } else if ((this.controller.desiredSize ?? 0) < -kLagBytes) {
      this.lagging = true
      const socket = this.socket
      this.socket = null
      socket?.close(kEnded, 'slow reader')
    }
  }

  private drained(): void {
    if (this.readyDue && this.socket !== null) {
      this.readyDue = false
      this.socket.send(kReady)
    } else if (this.lagging) {
      this.lagging = false
      void this.goOn()
    }
  }

  // Another socket, from where this reader stands.
  private async goOn(): Promise<void> {
    if (this.over) return
    this.readyDue = false
    if (this.at < 0 || ++this.tries > kTriesMax) return this.end()
    const headers = new Headers(this.request.headers)
    headers.set('Upgrade', 'websocket')
    headers.set('ds-reader', this.reader)
    headers.set('ds-reader-at', String(this.at))
    try {
      const answer = await this.stub().fetch(this.request.url, { headers })
      if (answer.webSocket === null || this.over) return this.end()
      this.attach(answer.webSocket)
    } catch {
      setTimeout(() => void this.goOn(), kRetryMs)
    }
  }

  private beat(): void {
    this.checkSocket()
    // Nothing has to keep a connection alive that has not even taken what it was sent.
    if ((this.controller.desiredSize ?? 0) > 0) this.controller.enqueue(this.heartbeatBytes.slice())
  }

  // An object that is gone does not always close its sockets. The runtime answers pings itself, so
  // the object sleeps on; one that is not answered by the next beat shows that nobody is there.
  private checkSocket(): void {
    const socket = this.socket
    if (socket === null) return
    if (this.answered) {
      this.answered = false
      socket.send(kPing)
      return
    }
    this.socket = null
    socket.close(kEnded, 'no answer')
    void this.goOn()
  }

  private end(): void {
    if (this.over) return
    this.over = true
    clearInterval(this.heartbeat)
    clearTimeout(this.lifetime)
    const socket = this.socket
    this.socket = null
    socket?.close(kEnded, 'end')
    try {
      this.controller.close()
    } catch {
      // The client has left.
    }
  }
}

export async function followStream(
  request: Request,
  stub: () => Stub,
  env: Env,
  module: Module,
): Promise<Response> {
  const asked = new Headers(request.headers)
  asked.set('Upgrade', 'websocket')
  const answer = await stub().fetch(request.url, { headers: asked })
  if (answer.webSocket === null) return answer
  const headers = new Headers(answer.headers)
  const reader = headers.get('ds-reader') ?? ''
  for (const name of ['ds-reader', 'upgrade', 'connection']) headers.delete(name)
  const beat = module.copy(module.core.heartbeat(), module.core.heartbeat_size())
  const bridge = new Bridge(request, stub, reader, beat, env)
  bridge.attach(answer.webSocket)
  return new Response(bridge.body, { status: 200, headers })
}
