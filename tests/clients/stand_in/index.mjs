// The reference server's test class, with our server behind it. See README.md.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import { createServer as createProbe } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const kRoot = '/v1/stream'
const kFaultPath = '/_test/inject-error'

function toStreamPath(path) {
  return path === kRoot || path.startsWith(`${kRoot}/`) ? path : kRoot + path
}

async function freePort() {
  const probe = createProbe().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

function bodyOf(message) {
  return new Promise((resolve, reject) => {
    const parts = []
    message.on('data', (part) => parts.push(part))
    message.on('end', () => resolve(Buffer.concat(parts)))
    message.on('error', reject)
  })
}

/** The faults that a test has asked for, by the path that it will ask with. */
class Faults {
  #byPath = new Map()

  add(fault) {
    this.#byPath.set(fault.path, { count: 1, ...fault })
  }

  clear() {
    this.#byPath.clear()
  }

  /** The fault that hits this request, used up by it. */
  take(path, method) {
    const fault = this.#byPath.get(path)
    if (fault === undefined) return null
    if (fault.method && fault.method.toUpperCase() !== method) return null
    if (fault.probability !== undefined && Math.random() > fault.probability) return null
    if (--fault.count <= 0) this.#byPath.delete(path)
    return fault
  }
}

function damaged(body, fault) {
  let out = body
  if (fault.truncateBodyBytes !== undefined) out = out.subarray(0, fault.truncateBodyBytes)
  // No JSON text, SSE frame or base64 begins like this.
  if (fault.corruptBody) {
    out = Buffer.concat([Buffer.from('XY').subarray(0, out.length), out.subarray(2)])
  }
  return out
}

/** What the reference server's store offers to tests: create and append, done when they return. */
class Store {
  #origin
  setOrigin(origin) {
    this.#origin = origin
  }

  create(path, { contentType }) {
    this.#send('PUT', path, contentType, '')
  }

  append(path, bytes, { contentType } = {}) {
    const type = contentType ?? this.#send('HEAD', path, '', '')
    this.#send('POST', path, type, Buffer.from(bytes).toString('base64'))
  }

  // The caller does not wait for promises, so another process does.
  #send(method, path, contentType, body) {
    const script = `
      const [method, url, type, body] = process.argv.slice(1)
      const bytes = Buffer.from(body, 'base64')
      const headers = type === '' ? {} : { 'content-type': type }
      const init = bytes.length > 0 ? { method, headers, body: bytes } : { method, headers }
      fetch(url, init).then((answer) => {
        if (!answer.ok) process.exit(1)
        process.stdout.write(answer.headers.get('content-type') ?? '')
      })`
    const url = this.#origin + toStreamPath(path)
    const args = ['-e', script, method, url, contentType, body]
    return execFileSync(process.execPath, args, { encoding: 'utf8' })
  }
}

export class DurableStreamTestServer {
  store = new Store()
  #options
  #faults = new Faults()
  #dataDir = ''
  #child = null
  #port = 0
  #proxy = null

  constructor(options = {}) {
    this.#options = options
  }

  get url() {
    return `http://127.0.0.1:${this.#proxy.address().port}`
  }

  async start() {
    const binary = process.env.DS_SERVER_BINARY
    if (binary === undefined) throw new Error('DS_SERVER_BINARY names no server')
    this.#port = await freePort()
    this.#dataDir = mkdtempSync(join(tmpdir(), 'ds-stand-in-'))
    const origin = `http://127.0.0.1:${this.#port}`
    const args = ['serve', '--listen', `127.0.0.1:${this.#port}`, '--data-dir', this.#dataDir]
    const { longPollTimeout } = this.#options
    if (longPollTimeout !== undefined) args.push('--long-poll-timeout', `${longPollTimeout}ms`)
    this.#child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    for (let tries = 0; ; ++tries) {
      const up = await fetch(`${origin}/ready`).then(
        (answer) => answer.ok,
        () => false,
      )
      if (up) break
      if (tries > 500 || this.#child.exitCode !== null) throw new Error(`${binary} did not start`)
      await sleep(20)
    }
    this.store.setOrigin(origin)
    this.#proxy = createServer((incoming, outgoing) => {
      this.#serve(incoming, outgoing).catch(() => outgoing.destroy())
    })
    this.#proxy.listen(this.#options.port ?? 0, '127.0.0.1')
    await once(this.#proxy, 'listening')
    return this.url
  }

  async stop() {
    this.#proxy?.closeAllConnections()
    this.#proxy?.close()
    if (this.#child !== null && this.#child.exitCode === null) {
      this.#child.kill('SIGTERM')
      await once(this.#child, 'exit')
    }
    rmSync(this.#dataDir, { recursive: true, force: true })
  }

  injectError(path, status, count = 1, retryAfter) {
    this.#faults.add({ path, status, count, retryAfter })
  }

  injectFault(path, fault) {
    this.#faults.add({ path, ...fault })
  }

  clearInjectedFaults() {
    this.#faults.clear()
  }

  async #serve(incoming, outgoing) {
    const url = new URL(incoming.url, 'http://127.0.0.1')
    if (url.pathname === kFaultPath) {
      if (incoming.method === 'DELETE') this.#faults.clear()
      else this.#faults.add(JSON.parse((await bodyOf(incoming)).toString()))
      outgoing.writeHead(200).end('{"ok":true}')
      return
    }
    const fault = this.#faults.take(url.pathname, incoming.method)
    if (fault?.delayMs !== undefined) {
      await sleep(fault.delayMs + Math.random() * (fault.jitterMs ?? 0))
    }
    if (fault?.dropConnection) {
      outgoing.destroy()
      return
    }
    if (fault?.status !== undefined) {
      const wait = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }
      outgoing.writeHead(fault.status, { 'content-type': 'text/plain', ...wait })
      outgoing.end('a fault that the test asked for')
      return
    }
    this.#forward(incoming, outgoing, toStreamPath(url.pathname) + url.search, fault)
  }

  #forward(incoming, outgoing, path, fault) {
    const { method, headers } = incoming
    const options = { host: '127.0.0.1', port: this.#port, method, path, headers, agent: false }
    const request = httpRequest(options, (answer) => {
      const sse = answer.headers['content-type']?.startsWith('text/event-stream') ?? false
      const damages = fault?.truncateBodyBytes !== undefined || fault?.corruptBody
      if (damages && !sse) {
        bodyOf(answer).then(
          (whole) => {
            const body = damaged(whole, fault)
            outgoing.writeHead(answer.statusCode, {
              ...answer.headers,
              'content-length': body.length,
            })
            outgoing.end(body)
          },
          () => outgoing.destroy(),
        )
        return
      }
      outgoing.writeHead(answer.statusCode, answer.headers)
      outgoing.flushHeaders()
      const extra = fault?.injectSseEvent
      if (sse && extra) outgoing.write(`event: ${extra.eventType}\ndata: ${extra.data}\n\n`)
      answer.pipe(outgoing)
      answer.on('error', () => outgoing.destroy())
    })
    request.on('error', () => outgoing.destroy())
    outgoing.on('close', () => request.destroy())
    incoming.pipe(request)
  }
}
