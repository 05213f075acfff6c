// Runs the wasm build of the test vectors under Node's WASI, over the same files as natively.
//   node run_wasi.mjs ds_vectors.wasm [--print FILE | FILE...]     default: all vectors here
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WASI } from 'node:wasi'

const here = dirname(fileURLToPath(import.meta.url))
const [program, ...rest] = process.argv.slice(2)
const all = readdirSync(here).filter((name) => name.endsWith('.txt') && name !== 'CMakeLists.txt')
const files = rest.length > 0 ? rest : all.sort()
// The program sees this folder alone.
const wasi = new WASI({
  version: 'preview1',
  args: ['ds_vectors', ...files.map((f) => (f.startsWith('--') ? f : `/v/${basename(f)}`))],
  env: {},
  preopens: { '/v': join(here) },
  returnOnExit: true,
})
const module = await WebAssembly.compile(readFileSync(program))
const instance = await WebAssembly.instantiate(module, wasi.getImportObject())
process.exitCode = wasi.start(instance)
