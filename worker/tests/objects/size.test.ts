// What is uploaded to Cloudflare stays small.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'

const kBuilt = resolve(import.meta.dirname, '../../../build/worker')

test('module and script are below 400 KB, 150 KB compressed', () => {
  const files = ['ds_worker.wasm', 'worker.mjs'].map((name) => readFileSync(join(kBuilt, name)))
  const sizes = files.map((bytes) => [bytes.length, gzipSync(bytes).length] as const)
  console.log(`bytes, compressed: ${JSON.stringify(sizes)}`)
  expect(sizes[0]![0] + sizes[1]![0]).toBeLessThan(400_000)
  expect(sizes[0]![1] + sizes[1]![1]).toBeLessThan(150_000)
})
