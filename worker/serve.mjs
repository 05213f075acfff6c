// Serves the built worker on this machine: node serve.mjs PORT DIRECTORY
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Miniflare } from 'miniflare'

const [port = '8787', directory = 'data/worker'] = process.argv.slice(2)
const built = resolve(import.meta.dirname, '../build/worker')
const file = (name) => readFileSync(join(built, name))
const miniflare = new Miniflare({
  modules: [
    { type: 'ESModule', path: 'worker.mjs', contents: file('worker.mjs').toString() },
    { type: 'CompiledWasm', path: 'ds_worker.wasm', contents: file('ds_worker.wasm') },
  ],
  compatibilityDate: '2026-06-01',
  durableObjects: { STREAMS: { className: 'StreamObject', useSQLite: true } },
  durableObjectsPersist: join(directory, 'objects'),
  r2Buckets: ['SEGMENTS'],
  r2Persist: join(directory, 'segments'),
  host: '127.0.0.1',
  port: Number(port),
})
const url = await miniflare.ready
console.log(`the worker is at ${url.origin}/v1/stream/, its data in ${directory}`)
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => miniflare.dispose().then(() => process.exit(0)))
}
