// See bench/worker-compare. Every server is a Miniflare of its own, in this process; ds-load makes
// the load and checks every answer.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'

const root = resolve(import.meta.dirname, '../..')
const { Miniflare } = createRequire(join(root, 'worker/package.json'))('miniflare')

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
  },
})
const kConnections = 32
const kStreams = 32
const kBodyBytes = 100
const kStreamBytes = 10_000
const kFillBytes = 1000

const read = (...path) => readFileSync(join(root, ...path))
const script = (contents) => ({ type: 'ESModule', path: 'worker.mjs', contents: `${contents}` })

const common = {
  compatibilityDate: '2026-06-01',
  host: '127.0.0.1',
  port: 0,
  handleRuntimeStdio() {},
}

function ours(directory) {
  return {
    ...common,
    modules: [
      script(read('build/worker/worker.mjs')),
      {
        type: 'CompiledWasm',
        path: 'ds_worker.wasm',
        contents: read('build/worker/ds_worker.wasm'),
      },
    ],
    durableObjects: { STREAMS: { className: 'StreamObject', useSQLite: true } },
    durableObjectsPersist: directory,
    r2Buckets: ['SEGMENTS'],
  }
}

function theirs(directory) {
  return {
    ...common,
    modules: [script(read('build/peers/cloudflare/peer.mjs'))],
    durableObjects: {
      STREAMS: { className: 'StreamDO', useSQLite: true },
      SUBSCRIPTION_DO: { className: 'StreamSubscribersDO', useSQLite: true },
      ESTUARY_DO: { className: 'EstuaryDO', useSQLite: true },
    },
    durableObjectsPersist: directory,
    r2Buckets: ['R2'],
    kvNamespaces: ['REGISTRY'],
  }
}

function floor(directory, insert) {
  const contents = `${read('bench/worker/floor.mjs')}`.replace('ANSWER_BYTES', kStreamBytes)
  return {
    ...common,
    modules: [script(contents)],
    durableObjects: { FLOOR: { className: 'Floor', useSQLite: true } },
    durableObjectsPersist: directory,
    bindings: { INSERT: insert },
  }
}

const servers = [
  { name: 'ours', start: ours },
  { name: 'TypeScript implementation', start: theirs },
  { name: 'floor: a constant', start: (at) => floor(at, false), plain: true },
  { name: 'floor: one INSERT', start: (at) => floor(at, true), plain: true },
]
const kLoad = process.env.DS_LOAD ?? join(root, 'build/release/ds-load')

async function load(origin, plain, workload) {
  const result = join(directory, 'result.json')
  rmSync(result, { force: true })
  const given = ['--url', origin, '--json', result, '--warmup', '1', '--seconds', options.seconds]
  given.push('--base', '/v1/stream/bench', ...(plain ? ['--plain'] : []))
  given.push('--content-type', 'application/octet-stream', ...workload)
  given.push('--streams', `${kStreams}`, '-c', `${kConnections}`)
  try {
    await promisify(execFile)(kLoad, given)
  } catch (error) {
    console.error(`${error.stdout}${error.stderr}`.trim())
    if (!existsSync(result)) return NaN
  }
  const { completed, seconds, per_second: rate } = JSON.parse(readFileSync(result, 'utf8'))
  return rate ?? completed / seconds
}

const directory = mkdtempSync(join(tmpdir(), 'ds-worker-compare-'))
const measured = servers.map(() => ({ append: [], read: [] }))
for (let round = 0; round < Number(options.rounds); ++round) {
  for (const [i, { name, start, plain }] of servers.entries()) {
    const at = join(directory, `${round}-${i}`)
    const miniflare = new Miniflare(start(at))
    const { origin } = await miniflare.ready
    const append = await load(origin, plain, ['append', '--body-bytes', `${kBodyBytes}`])
    const filled = ['--stream-bytes', `${kStreamBytes}`, '--body-bytes', `${kFillBytes}`]
    const reads = await load(origin, plain, ['read', ...filled])
    await miniflare.dispose()
    rmSync(at, { recursive: true, force: true })
    measured[i].append.push(append)
    measured[i].read.push(reads)
    console.log(`${round + 1} ${name}: ${append.toFixed(0)} appends/s, ${reads.toFixed(0)} reads/s`)
  }
}
rmSync(directory, { recursive: true, force: true })

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1]
const [us, them, constant, insert] = measured.map((one) => ({
  append: median(one.append),
  read: median(one.read),
}))
const bar = (name, ours, other, factor) => {
  const ratio = ours / other
  const met = ratio >= factor ? 'met' : 'missed'
  return `| ${name} | ≥ ${factor} × | ${ratio.toFixed(2)} × | ${met} |`
}
const rows = [us, them, constant, insert].map(
  (one, i) => `| ${servers[i].name} | ${one.append.toFixed(0)} | ${one.read.toFixed(0)} |`,
)
const kLoadText = `${kConnections} connections, ${kStreams} streams, appends of ${kBodyBytes} bytes`
const text = `# The worker's speed

Written by \`bench/worker-compare\`, ${new Date().toISOString().slice(0, 10)}. Each server alone in
Miniflare, logging off, in turns; medians of ${options.rounds} rounds of ${options.seconds} s.
${kLoadText}, reads of ${kStreamBytes} bytes.
Miniflare, workerd and the load generator share ${availableParallelism()} cores.

| | appends/s | catch-up reads/s |
|---|---|---|
${rows.join('\n')}

| bar | | | |
|---|---|---|---|
${bar('appends, of the TypeScript implementation', us.append, them.append, 2)}
${bar('reads, of the TypeScript implementation', us.read, them.read, 2)}
${bar('appends, of an object that does one INSERT', us.append, insert.append, 0.6)}
${bar('reads, of an object that answers a constant', us.read, constant.read, 0.6)}
`
writeFileSync(join(root, 'bench/WORKER.md'), text)
console.log(`\n${text}`)
