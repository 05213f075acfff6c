// StreamDO: one stream. Moves requests, rows, sockets and calls between the runtime and the core,
// which decides everything.
import { DurableObject } from 'cloudflare:workers'
import { Module, headerLines, requestText, withoutBody, type Imports } from './module.ts'
import { readBody } from './body.ts'
import { applySettings, type Env } from './settings.ts'
import { frameMessage, kPing, kPong, kReady, type ReaderState } from './reader_socket.ts'
import { createTables, storageImports } from './storage.ts'

const kDone = 0
const kMissing = 1
const kFailed = 2
// The core's memory grows and never shrinks, and many objects share the 128 MB of an isolate: one
// that has grown beyond this is replaced as soon as nobody waits for anything.
const kMemoryBytesMax = 16 << 20

export class StreamObject extends DurableObject<Env> {
  private module!: Module
  private commonHeaders!: [string, string][]
  private waiting = new Map<number, (response: Response) => void>()
  private sockets = new Map<number, WebSocket>()
  private calls = new Map<number, (answer: Uint8Array<ArrayBuffer>) => void>()
  private nextCall = 1
  private lastId = Date.now() * 1000
  private alarmAt: number | null | undefined = undefined
  private timer: ReturnType<typeof setTimeout> | null = null
  private timerAt = Infinity
  /** Calls of other objects and of R2 that have not ended. */
  private underWay = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    createTables(ctx.storage.sql)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(kPing, kPong))
    this.wake()
  }

  /** Makes the core's memory anew of what is stored. */
  private wake(): void {
    this.module = new Module({
      ...storageImports(this.ctx.storage, () => this.module),
      ...this.imports(),
    })
    this.commonHeaders = this.module.commonHeaders()
    applySettings(this.module.core, this.env)
    this.guard(() => this.module.core.start(Date.now()))
    for (const socket of this.ctx.getWebSockets()) this.bringBack(socket)
  }

  // --- Events -----------------------------------------------------------------------------------

  override async fetch(request: Request): Promise<Response> {
    const id = ++this.lastId
    const text = requestText(request)
    const body = await readBody(request, this.module.core.body_bytes_max())
    const answered = new Promise<Response>((resolve) => this.waiting.set(id, resolve))
    this.event(() => {
      const { core } = this.module
      if (body === 'too large') {
        this.module.giveText(text)
        core.refuse_body(id)
        return
      }
      const headSize = this.module.giveText(text, ...body)
      core.on_request(id, headSize, Date.now())
    })
    if (this.waiting.has(id)) {
      request.signal?.addEventListener('abort', () => {
        if (this.waiting.delete(id)) this.event(() => this.module.core.on_disconnect(id))
      })
    }
    return answered
  }

  override alarm(): void {
    this.alarmAt = null
    this.event(() => this.module.core.on_alarm(Date.now()))
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    const state = socket.deserializeAttachment() as ReaderState
    if (message !== kReady || !state.pulling) return
    socket.serializeAttachment({ ...state, pulling: false })
    this.event(() => this.module.core.on_reader_ready(state.id, Date.now()))
  }

  override webSocketClose(socket: WebSocket): void {
    const { id } = socket.deserializeAttachment() as ReaderState
    if (this.sockets.delete(id)) this.event(() => this.module.core.on_disconnect(id))
    socket.close()
  }

  override webSocketError(socket: WebSocket): void {
    const { id } = socket.deserializeAttachment() as ReaderState
    if (this.sockets.delete(id)) this.event(() => this.module.core.on_disconnect(id))
  }

  /** A call of another stream's object. */
  async call(path: string, message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const token = this.nextCall++
    const answered = new Promise<Uint8Array<ArrayBuffer>>((resolve) =>
      this.calls.set(token, resolve),
    )
    this.event(() => {
      const pathSize = this.module.giveText(path, message)
      this.module.core.on_peer(token, pathSize, Date.now())
    })
    return answered
  }

  // --- Around every event -----------------------------------------------------------------------

  // Nothing is known of what the core has in memory once it has trapped: this object ends, and is
  // made again from what is stored.
  private guard(event: () => void): void {
    try {
      event()
    } catch (error) {
      console.error('the core failed:', error)
      // Not everywhere does the end of an object close them; their readers go on elsewhere.
      for (const socket of this.ctx.getWebSockets()) socket.close(1011, 'failed')
      this.ctx.abort(`the core failed: ${String(error)}`)
      throw error
    }
  }

  private event(event: () => void): void {
    this.guard(event)
    const grown = this.module.core.memory.buffer.byteLength > kMemoryBytesMax
    if (grown && this.waiting.size + this.calls.size + this.underWay === 0) this.wake()
    this.setTimer()
  }

  /** What was begun elsewhere; `end` is its event. */
  private begun<T>(work: Promise<T>, end: (answer: T | undefined, error: unknown) => void): void {
    ++this.underWay
    const over = (answer: T | undefined, error: unknown): void => {
      --this.underWay
      this.event(() => end(answer, error))
    }
    this.ctx.waitUntil(
      work.then(
        (answer) => over(answer, undefined),
        (error: unknown) => over(undefined, error),
      ),
    )
  }

  // Only requests that wait need a timer: it keeps the object from being evicted.
  private setTimer(): void {
    const due = this.waiting.size > 0 ? this.module.core.deadline() : Infinity
    if (due === this.timerAt) return
    if (this.timer !== null) clearTimeout(this.timer)
    this.timerAt = due
    if (due === Infinity) return
    this.timer = setTimeout(
      () => {
        this.timerAt = Infinity
        this.event(() => this.module.core.on_time(Date.now()))
      },
      Math.max(0, due - Date.now()),
    )
  }

  private bringBack(socket: WebSocket): void {
    const state = socket.deserializeAttachment() as ReaderState
    this.sockets.set(state.id, socket)
    this.lastId = Math.max(this.lastId, state.id)
    this.guard(() => {
      this.module.giveText(state.reader)
      this.module.core.on_reader_back(state.id, state.at, state.pulling ? 1 : 0, Date.now())
    })
  }

  // --- What the core asks for -------------------------------------------------------------------

  private respond(id: number, response: Response): void {
    const resolve = this.waiting.get(id)
    this.waiting.delete(id)
    resolve?.(response)
  }

  private headers(at: number, size: number): Headers {
    const headers = new Headers(this.commonHeaders)
    for (const [name, value] of headerLines(this.module.text(at, size))) headers.set(name, value)
    return headers
  }

  private imports(): Imports {
    return {
      set_alarm: (when) => this.setAlarm(when!),
      respond: (id, status, head, headSize, body, bodySize) => {
        const bytes =
          bodySize === 0 && withoutBody(status!) ? null : this.module.copy(body!, bodySize!)
        const headers = this.headers(head!, headSize!)
        this.respond(id!, new Response(bytes, { status: status!, headers }))
      },
      open_sse: (id, head, headSize, reader, readerSize, at) => {
        const [client, socket] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
        const name = this.module.text(reader!, readerSize!)
        const state: ReaderState = { id: id!, reader: name, at: at!, pulling: false }
        this.ctx.acceptWebSocket(socket)
        socket.serializeAttachment(state)
        this.sockets.set(id!, socket)
        const headers = this.headers(head!, headSize!)
        headers.set('ds-reader', name)
        this.respond(id!, new Response(null, { status: 101, webSocket: client, headers }))
      },
      send_sse: (ids, count, begin, end, pulled, frame, size) => {
        const list = new Float64Array(this.module.copy(ids!, count! * 8).buffer)
        const memory = this.module.memory().subarray(frame!, frame! + size!)
        const message = frameMessage(begin!, end!, pulled === 1, memory)
        for (const id of list) {
          const socket = this.sockets.get(id)
          if (socket === undefined) continue
          const state = socket.deserializeAttachment() as ReaderState
          socket.serializeAttachment({ ...state, at: end!, pulling: pulled === 1 })
          try {
            socket.send(message)
          } catch {
            // It is closing: its close is reported.
          }
        }
      },
      end_sse: (id) => {
        const socket = this.sockets.get(id!)
        this.sockets.delete(id!)
        socket?.close(1000, 'end')
      },
      call_peer: (token, path, pathSize, message, size) => {
        const name = this.module.text(path!, pathSize!)
        const { STREAMS } = this.env
        const call = STREAMS.get(STREAMS.idFromName(name)).call(
          name,
          this.module.copy(message!, size!),
        )
        this.begun(call, (answer) => {
          this.module.give(answer ?? new Uint8Array())
          this.module.core.on_peer_reply(token!, answer === undefined ? 0 : 1, Date.now())
        })
      },
      answer_peer: (token, message, size) => {
        const resolve = this.calls.get(token!)
        this.calls.delete(token!)
        resolve?.(this.module.copy(message!, size!))
      },
      put_object: (token, key, keySize, bytes, size) => {
        const copy = this.module.copy(bytes!, size!)
        const name = this.module.text(key!, keySize!)
        this.object(token!, async (bucket) => {
          await bucket.put(name, copy)
          return new Uint8Array()
        })
      },
      get_object: (token, key, keySize, offset, length) => {
        const name = this.module.text(key!, keySize!)
        this.object(token!, async (bucket) => {
          const got = await bucket.get(name, { range: { offset: offset!, length: length! } })
          return got === null ? null : new Uint8Array(await got.arrayBuffer())
        })
      },
      delete_object: (token, key, keySize) => {
        const name = this.module.text(key!, keySize!)
        this.object(token!, async (bucket) => {
          await bucket.delete(name)
          return new Uint8Array()
        })
      },
    }
  }

  // `work` gives what was read, or null if there is nothing.
  private object(token: number, work: (bucket: R2Bucket) => Promise<Uint8Array | null>): void {
    const bucket = this.env.SEGMENTS
    const done = bucket === undefined ? Promise.reject(new Error('no bucket')) : work(bucket)
    this.begun(done, (bytes, error) => {
      if (error !== undefined) console.error('R2:', error)
      this.module.give(bytes ?? new Uint8Array())
      const outcome = bytes === undefined ? kFailed : bytes === null ? kMissing : kDone
      this.module.core.on_object(token, outcome, Date.now())
    })
  }

  // Whether one is set already is not known at first: asking costs nothing, setting one a row.
  private setAlarm(when: number): void {
    const set = (): void => {
      this.alarmAt = when
      this.ctx.waitUntil(this.ctx.storage.setAlarm(when))
    }
    if (this.alarmAt !== undefined) {
      // An earlier one sets this one.
      if (this.alarmAt === null || this.alarmAt > when) set()
      return
    }
    this.ctx.waitUntil(
      this.ctx.storage.getAlarm().then((known) => {
        if (this.alarmAt !== undefined) return
        if (known === null || known > when) set()
        else this.alarmAt = known
      }),
    )
  }
}
