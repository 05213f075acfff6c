// Starts the built worker in workerd, by Miniflare, on a port of its own. All traffic stays on
// 127.0.0.1.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Miniflare, type MiniflareOptions } from 'miniflare'

const kBuilt = resolve(import.meta.dirname, '../../../build/worker')
export const kCompatibilityDate = '2026-06-01'

export interface RuntimeOptions {
  /** Text variables, as in docs/cloudflare.md. */
  settings?: Record<string, string>
  /** Where objects keep their storage; in memory by default. */
  persist?: string
  /** Whether there is a bucket for history. */
  bucket?: boolean
  port?: number
  /** Whether what is billed is counted, for Runtime.counters(). */
  counted?: boolean
}

export interface Counters {
  workerRequests: number
  objectRequests: number
  objectCalls: number
  socketMessages: number
  socketCloses: number
  alarms: number
  alarmsSet: number
  wakes: number
  rowsWritten: number
  rowsRead: number
  /** The largest value that was ever written to a row. */
  rowBytesMax: number
  objectsPut: number
  objectsGot: number
  objectBytesGot: number
  objects: number
  /** Held by all of them together. */
  wasmBytes: number
}

export function workerOptions(options: RuntimeOptions = {}): MiniflareOptions {
  const counting = {
    type: 'ESModule',
    path: 'counting.mjs',
    contents: readFileSync(join(import.meta.dirname, 'counting.mjs'), 'utf8'),
  }
  return {
    modules: [
      ...(options.counted ? [counting] : []),
      {
        type: 'ESModule',
        path: 'worker.mjs',
        contents: readFileSync(join(kBuilt, 'worker.mjs'), 'utf8'),
      },
      {
        type: 'CompiledWasm',
        path: 'ds_worker.wasm',
        contents: readFileSync(join(kBuilt, 'ds_worker.wasm')),
      },
    ],
    compatibilityDate: kCompatibilityDate,
    durableObjects: { STREAMS: { className: 'StreamObject', useSQLite: true } },
    ...(options.bucket ? { r2Buckets: ['SEGMENTS'] } : {}),
    ...(options.persist
      ? {
          durableObjectsPersist: join(options.persist, 'do'),
          r2Persist: join(options.persist, 'r2'),
        }
      : {}),
    bindings: options.settings ?? {},
    host: '127.0.0.1',
    port: options.port ?? 0,
  } as MiniflareOptions
}

export class Runtime {
  readonly miniflare: Miniflare
  readonly origin: string
  private constructor(miniflare: Miniflare, origin: string) {
    this.miniflare = miniflare
    this.origin = origin
  }

  static async start(options: RuntimeOptions = {}): Promise<Runtime> {
    const miniflare = new Miniflare(workerOptions(options))
    const url = await miniflare.ready
    return new Runtime(miniflare, url.origin)
  }

  async counters(): Promise<Counters> {
    return (await (await fetch(`${this.origin}/counters`)).json()) as Counters
  }

  /** Ends a stream's object as a failure would; the next request makes it again. */
  async abort(stream: string): Promise<void> {
    await fetch(`${this.origin}/abort?_default/${stream}`)
  }

  /** What has been counted while `work` was done. */
  async counted(work: () => Promise<void>): Promise<Counters> {
    const before = await this.counters()
    await work()
    const after = await this.counters()
    const names = Object.keys(after) as (keyof Counters)[]
    const grown = names.map((one) => [one, after[one] - before[one]])
    return Object.fromEntries(grown) as unknown as Counters
  }

  url(stream: string): string {
    return `${this.origin}/v1/stream/${stream}`
  }

  stop(): Promise<void> {
    return this.miniflare.dispose()
  }
}
