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
}

export function workerOptions(options: RuntimeOptions = {}): MiniflareOptions {
  return {
    modules: [
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
  private constructor(
    readonly miniflare: Miniflare,
    readonly origin: string,
  ) {}

  static async start(options: RuntimeOptions = {}): Promise<Runtime> {
    const miniflare = new Miniflare(workerOptions(options))
    const url = await miniflare.ready
    return new Runtime(miniflare, url.origin)
  }

  url(stream: string): string {
    return `${this.origin}/v1/stream/${stream}`
  }

  stop(): Promise<void> {
    return this.miniflare.dispose()
  }
}
