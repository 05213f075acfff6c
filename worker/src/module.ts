// The core's module: one instance, its memory, and text and bytes in and out of it.
import wasm from './ds_worker.wasm'

/** What the module calls; the edge and stream objects each give those that they need. */
export type Imports = Record<string, (...args: number[]) => number | void>

export interface Exports {
  memory: WebAssembly.Memory
  room(size: number): number
  row_room(size: number): number
  take_row(at: number): number
  take_fact(keySize: number): number
  set_seed(k0: number, k1: number): void
  set_option(which: number, value: number): void
  body_bytes_max(): number
  start(now: number): void
  on_request(id: number, headSize: number, now: number): void
  refuse_body(id: number): void
  on_disconnect(id: number): void
  on_reader_back(id: number, position: number, pulling: number, now: number): void
  on_reader_ready(id: number, now: number): void
  on_time(now: number): void
  on_alarm(now: number): void
  deadline(): number
  on_peer(token: number, pathSize: number, now: number): void
  on_peer_reply(token: number, answered: number, now: number): void
  on_object(token: number, outcome: number, now: number): void
  edge_request(number: number): void
  etag_matches(tagSize: number): number
  common_headers(): number
  common_headers_size(): number
  heartbeat(): number
  heartbeat_size(): number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

// What the C library was linked with; the core does no I/O and ends with a trap.
function systemCalls(): Imports {
  return {
    fd_close: () => 8,
    fd_seek: () => 8,
    fd_write: () => 8,
    fd_fdstat_get: () => 8,
    proc_exit: () => {
      throw new WebAssembly.RuntimeError('the core has ended')
    },
  }
}

// Every import that the module has must be there, whoever uses it.
function complete(imports: Imports): Imports {
  const all: Imports = { ...imports }
  for (const { module, name } of WebAssembly.Module.imports(wasm)) {
    if (module === 'host' && all[name] === undefined) {
      all[name] = () => {
        throw new Error(`${name} is not there for the edge`)
      }
    }
  }
  return all
}

export class Module {
  readonly core: Exports
  private bytes: Uint8Array

  constructor(imports: Imports) {
    const instance = new WebAssembly.Instance(wasm, {
      host: complete(imports),
      wasi_snapshot_preview1: systemCalls(),
    })
    this.core = instance.exports as unknown as Exports
    ;(instance.exports._initialize as () => void)()
    const seed = crypto.getRandomValues(new Uint32Array(2))
    this.core.set_seed(seed[0]!, seed[1]!)
    this.bytes = new Uint8Array(this.core.memory.buffer)
  }

  /** All of the memory, which moves when it grows. */
  memory(): Uint8Array {
    if (this.bytes.buffer !== this.core.memory.buffer) {
      this.bytes = new Uint8Array(this.core.memory.buffer)
    }
    return this.bytes
  }

  /** A copy of what lies there. */
  copy(at: number, size: number): Uint8Array<ArrayBuffer> {
    return this.memory().slice(at, at + size) as Uint8Array<ArrayBuffer>
  }

  text(at: number, size: number): string {
    return decoder.decode(this.memory().subarray(at, at + size))
  }

  /** Puts the parts into the inbox, back to back. */
  give(...parts: Uint8Array[]): void {
    let size = 0
    for (const part of parts) size += part.length
    let at = this.core.room(size)
    const memory = this.memory()
    for (const part of parts) {
      memory.set(part, at)
      at += part.length
    }
  }

  /** Puts text and then bytes into the inbox; returns the size of the text. */
  giveText(text: string, ...parts: Uint8Array[]): number {
    const head = encoder.encode(text)
    this.give(head, ...parts)
    return head.length
  }

  commonHeaders(): [string, string][] {
    return headerLines(this.text(this.core.common_headers(), this.core.common_headers_size()))
  }
}

/** "Name: value\r\n" lines as pairs. */
export function headerLines(text: string): [string, string][] {
  const pairs: [string, string][] = []
  let at = 0
  while (at < text.length) {
    const colon = text.indexOf(': ', at)
    const end = text.indexOf('\r\n', colon)
    pairs.push([text.slice(at, colon), text.slice(colon + 2, end)])
    at = end + 2
  }
  return pairs
}

/** A request as the core reads it. */
export function requestText(request: Request): string {
  const url = new URL(request.url)
  // The path as it was sent: URL has resolved dot segments, which are not ours to resolve.
  let text = `${request.method}\n${url.pathname}\n${url.search.slice(1)}\n${url.origin}\n`
  for (const [name, value] of request.headers) text += `${name}:${value}\n`
  return text
}

/** A body that goes with no answer of this status. */
export function withoutBody(status: number): boolean {
  return status === 204 || status === 304
}
