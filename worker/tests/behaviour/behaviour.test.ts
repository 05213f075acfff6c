// The same requests, the same answers: the native server and the worker, headers included.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Server } from '../../../tests/lib/server.ts'
import { Runtime } from '../lib/runtime.ts'
import { replay } from './replay.ts'
import { kScript } from './script.ts'

let server: Server
let runtime: Runtime
beforeAll(async () => {
  server = await Server.start({ threads: 1 })
  runtime = await Runtime.start({ bucket: true })
})
afterAll(async () => {
  await server.stop()
  await runtime.stop()
})

test('the native server and the worker answer every request of the script alike', async () => {
  const native = await replay(server.origin, kScript)
  const worker = await replay(runtime.origin, kScript)
  expect(native.length).toBe(kScript.length)
  for (const [i, answer] of native.entries()) expect(worker[i], answer.step).toEqual(answer)
})
