// What sequences have found, each as a test of its own.
import { expect, test } from 'vitest'
import { useServer } from '../lib/fixture.ts'
import { get, kText, post, put } from '../lib/http.ts'

const server = useServer({ args: ['--durability', 'memory'] })

// A fork inherits its source's messages by their places in the log. Without a log these were made
// up from 0 on: generation 0, which an engine takes for sealed. The fork's readers got 503.
test('without a log, a fork has the bytes of its source', async () => {
  const source = server().url('found/source')
  await put(source, kText, 'one ')
  await put(server().url('found/fork'), { 'Stream-Forked-From': '/v1/stream/found/source' })
  await post(source, 'two ')
  await put(server().url('found/later'), { 'Stream-Forked-From': '/v1/stream/found/source' })
  expect((await get(server().url('found/fork'))).text).toBe('one ')
  expect((await get(server().url('found/later'))).text).toBe('one two ')
})
