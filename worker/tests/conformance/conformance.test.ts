// The official suite against the worker with its default settings, in workerd.
import { runConformanceTests } from '@durable-streams/server-conformance-tests'
import { afterAll, describe } from 'vitest'
import { Runtime } from '../lib/runtime.ts'

// The default LONG_POLL_TIMEOUT_MS, which the suite waits for.
const kLongPollTimeoutMs = 30_000

const runtime = await Runtime.start({ bucket: true })
afterAll(() => runtime.stop())

// Workerd closes connections that have been idle for 5 s, and one of the suite's tests keeps this
// process from noticing for longer than that on a busy machine: no connection is used twice.
const kDispatcher = Symbol.for('undici.globalDispatcher.1')
const shared = globalThis as unknown as Record<symbol, { constructor: unknown }>
await (await fetch(`${runtime.origin}/health`)).text()
const Agent = shared[kDispatcher]!.constructor as new (options: object) => { constructor: unknown }
shared[kDispatcher] = new Agent({ pipelining: 0 })

describe('official suite, in workerd', () => {
  runConformanceTests({ baseUrl: runtime.origin, longPollTimeoutMs: kLongPollTimeoutMs })
})
