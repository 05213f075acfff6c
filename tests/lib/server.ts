// Starts, stops, kills and restarts the server under test. Every test file owns its server, on a
// port and a data directory of its own; all traffic stays on 127.0.0.1.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici'

const kStartTimeoutMs = 30_000
const kStopTimeoutMs = 20_000
const kStderrCharsMax = 1 << 20

export interface ServerOptions {
  /** Further arguments, after those that every test server gets. */
  args?: string[]
  /** Overrides DS_TEST_THREADS; left to the server's default if neither is given. */
  threads?: number
  /** An existing data directory; by default a new one that stop() removes. */
  dataDir?: string
  /** The process's limit on open files; the system's if it is not given. */
  openFiles?: number
  /** Added to the process's environment. */
  env?: Record<string, string>
}

export function serverBinary(): string {
  const fallback = resolve(import.meta.dirname, '../../build/release/durable-streams')
  const binary = process.env.DS_SERVER_BINARY ?? fallback
  if (!existsSync(binary)) {
    throw new Error(`no server at ${binary}: build it, or set DS_SERVER_BINARY`)
  }
  return binary
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer()
  probe.listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** What is sent from now on opens connections of its own: those kept alive led to a process that
 *  has ended, and the same port has another one soon. */
function forgetConnections(): void {
  const old = getGlobalDispatcher()
  setGlobalDispatcher(new Agent())
  // Waits for what is under way, at other servers perhaps.
  old.close().catch(() => {})
}

export class Server {
  readonly port: number
  readonly dataDir: string
  stderr = ''
  /** Added to the environment of the next process that is launched. */
  env: Record<string, string> = {}
  private child: ChildProcess | null = null
  private exited: Promise<number | null> = Promise.resolve(null)

  private constructor(
    port: number,
    dataDir: string,
    private readonly args: string[],
    private readonly ownsDataDir: boolean,
    private readonly openFiles: number | undefined,
  ) {
    this.port = port
    this.dataDir = dataDir
  }

  /** Starts a server and waits until it answers. */
  static async start(options: ServerOptions = {}): Promise<Server> {
    const server = await Server.prepare(options)
    server.launch()
    await server.ready()
    return server
  }

  /** Chooses port and directory, and launches nothing yet. */
  static async prepare(options: ServerOptions = {}): Promise<Server> {
    const port = await freePort()
    const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'ds-test-'))
    const threads = options.threads ?? process.env.DS_TEST_THREADS
    const args = ['serve', '--listen', `127.0.0.1:${port}`, '--data-dir', dataDir]
    if (threads !== undefined) args.push('--threads', String(threads))
    args.push(...(options.args ?? []))
    const server = new Server(
      port,
      dataDir,
      args,
      options.dataDir === undefined,
      options.openFiles,
    )
    server.env = options.env ?? {}
    return server
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The URL of a stream of the default project, or of `<project>/<stream>`. */
  url(stream: string): string {
    return `${this.origin}/v1/stream/${stream}`
  }

  get pid(): number {
    const pid = this.child?.pid
    if (pid === undefined) throw new Error('the server is not running')
    return pid
  }

  get running(): boolean {
    return this.child !== null && this.child.exitCode === null && this.child.signalCode === null
  }

  /** Launches the process on the same directory and port, without waiting for it. */
  launch(): void {
    const limited = ['-c', `ulimit -n ${this.openFiles} && exec "$0" "$@"`, serverBinary()]
    const [command, args] =
      this.openFiles === undefined
        ? [serverBinary(), this.args]
        : ['/bin/sh', [...limited, ...this.args]]
    const env = { ...process.env, ...this.env }
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env })
    this.child = child
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-kStderrCharsMax)
    })
    this.exited = new Promise((done) => {
      // Not 'exit': what it said last is to be read by then.
      child.once('close', (code) => done(code))
      child.once('error', () => done(null))
    })
  }

  /** Resolves when /ready (or, where there is none, any URL) is answered without an error. */
  async ready(): Promise<void> {
    const deadline = Date.now() + kStartTimeoutMs
    while (Date.now() < deadline) {
      if (!this.running) throw new Error(`the server ended while starting:\n${this.stderr}`)
      const status = await fetch(`${this.origin}/ready`, {
        signal: AbortSignal.timeout(2000),
      }).then(
        async (answer) => {
          await answer.body?.cancel()
          return answer.status
        },
        () => 0,
      )
      if (status !== 0 && status < 500) return
      await sleep(20)
    }
    throw new Error(`the server did not become ready:\n${this.stderr}`)
  }

  /** Resolves to the exit code when the process has ended; null if a signal ended it. */
  ended(): Promise<number | null> {
    return this.exited
  }

  /** SIGKILL: no time to finish anything. The data directory stays. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.exited
    forgetConnections()
  }

  /** SIGTERM; resolves to the exit code. The data directory stays. */
  async terminate(): Promise<number | null> {
    this.child?.kill('SIGTERM')
    const late = sleep(kStopTimeoutMs, 'late' as const, { ref: false })
    const outcome = await Promise.race([this.exited, late])
    if (outcome === 'late') {
      await this.kill()
      throw new Error(`the server ignored SIGTERM for ${kStopTimeoutMs} ms:\n${this.stderr}`)
    }
    forgetConnections()
    return outcome
  }

  async restart(): Promise<void> {
    this.launch()
    await this.ready()
  }

  /** Ends the server and removes the directory that was made for it. */
  async stop(): Promise<void> {
    try {
      if (this.running) await this.terminate()
    } finally {
      if (this.ownsDataDir) rmSync(this.dataDir, { recursive: true, force: true })
    }
  }

  /** Resident memory in bytes. */
  residentBytes(): number {
    return this.statusBytes('VmRSS')
  }

  /** The highest that resident memory has been. */
  peakResidentBytes(): number {
    return this.statusBytes('VmHWM')
  }

  private statusBytes(name: string): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)
    if (match === null) throw new Error(`no ${name}`)
    return Number(match[1]) * 1024
  }
}
