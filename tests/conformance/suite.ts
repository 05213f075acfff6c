// The official suite against a server with its default settings. The suite's own command finds no
// tests under node_modules, hence these files.
import { runConformanceTests } from '@durable-streams/server-conformance-tests'
import { afterAll, describe } from 'vitest'
import { Server } from '../lib/server.ts'

// The server's default --long-poll-timeout, which the suite waits for.
const kLongPollTimeoutMs = 30_000

export async function runOfficialSuite(threads: number): Promise<void> {
  const server = await Server.start({ threads })
  afterAll(() => server.stop())
  describe(`official suite, --threads ${threads}`, () => {
    runConformanceTests({ baseUrl: server.origin, longPollTimeoutMs: kLongPollTimeoutMs })
  })
}
