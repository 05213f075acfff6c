// The official suite against the worker with its default settings, in workerd.
import { runConformanceTests } from '@durable-streams/server-conformance-tests'
import { afterAll, describe } from 'vitest'
import { Runtime } from '../lib/runtime.ts'

// The default LONG_POLL_TIMEOUT_MS, which the suite waits for.
const kLongPollTimeoutMs = 30_000

const runtime = await Runtime.start({ bucket: true })
afterAll(() => runtime.stop())
describe('official suite, in workerd', () => {
  runConformanceTests({ baseUrl: runtime.origin, longPollTimeoutMs: kLongPollTimeoutMs })
})
