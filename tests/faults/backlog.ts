// A data directory with a dozen generations that nobody has sealed: streams of all kinds in one log,
// so that the next server seals, merges, trims, rewrites and removes all by itself.
import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { close, del, kText, post, producer, put } from '../lib/http.ts'
import { Server } from '../lib/server.ts'
import { lookAtTrimmed, observe } from './observe.ts'
import { kCalls, kDeeds, kPlaces, Shim } from './shim.ts'

export const kSealingArgs = [
  ...['--generation-size', '64KiB', '--seal-after', '100ms', '--evict-after', '0s'],
  ...['--ballast', '0'],
]
const kTrimmedBytes = 20_000
const kRounds = 14

export class Backlog {
  private readonly streams = new Map<string, Buffer[]>()
  private wanted: string[] = []

  private constructor(readonly dataDir: string) {}

  static async make(): Promise<Backlog> {
    const backlog = new Backlog(mkdtempSync(join(tmpdir(), 'ds-backlog-')))
    const shim = new Shim(backlog.dataDir)
    // No segment can be made: so nothing is sealed.
    shim.set({ deed: kDeeds.fail, kinds: kCalls.create, places: kPlaces.segments })
    const server = await Server.start({
      dataDir: backlog.dataDir,
      args: kSealingArgs,
      env: shim.env,
    })
    try {
      await backlog.write(server)
      await backlog.verify(server)
    } finally {
      await server.kill()
      shim.close()
    }
    return backlog
  }

  /** A copy that a server of its own may have. */
  copy(): string {
    const to = mkdtempSync(join(tmpdir(), 'ds-backlog-copy-'))
    cpSync(this.dataDir, to, { recursive: true })
    return to
  }

  remove(): void {
    rmSync(this.dataDir, { recursive: true, force: true })
  }

  /** Fails unless the server shows all that was answered when this was written. */
  async verify(server: Server): Promise<void> {
    const seen = await observe(server, [...this.names(), 'deleted', 'late', 'gone-0', 'source'])
    if (this.wanted.length === 0) {
      // What clients were told, not only what this server shows.
      for (const name of this.names()) {
        const text = Buffer.concat(this.streams.get(name) ?? [])
        expect(seen.some((line) => line.includes(`${name}: 200`) && line.includes(` ${text.length} `)))
          .toBe(true)
      }
      this.wanted = seen
    }
    expect(seen).toEqual(this.wanted)
    const written = Buffer.concat(this.streams.get('trimmed') ?? [])
    expect(await lookAtTrimmed(server.url('trimmed'), written, kTrimmedBytes)).toBe('')
  }

  private names(): string[] {
    return [...this.streams.keys()].filter((name) => name !== 'trimmed')
  }

  private async create(server: Server, name: string, headers = {}): Promise<void> {
    expect((await put(server.url(name), { ...kText, ...headers })).status).toBe(201)
    this.streams.set(name, [])
  }

  private async append(server: Server, name: string, bytes: number, headers = {}): Promise<void> {
    const body = randomBytes(bytes)
    const answer = await post(server.url(name), new Uint8Array(body), { ...kText, ...headers })
    expect(answer.status).toBeLessThan(300)
    this.streams.get(name)?.push(body)
  }

  private async write(server: Server): Promise<void> {
    const small = Array.from({ length: 12 }, (_, i) => `small-${i}`)
    for (const name of small) await this.create(server, name)
    await this.create(server, 'large')
    await this.create(server, 'produced')
    await this.create(server, 'trimmed', { 'Stream-Max-Bytes': String(kTrimmedBytes) })
    await this.create(server, 'source')
    await this.create(server, 'deleted')
    for (let i = 0; i < kRounds; ++i) {
      for (const name of small) await this.append(server, name, 500 + i)
      await this.append(server, 'large', 20_000)
      await this.append(server, 'produced', 700, producer('p', 0, i))
      await this.append(server, 'trimmed', 9_000)
      if (i < 6) await this.append(server, 'deleted', 9_000)
      if (i < 4) await this.append(server, 'source', 5_000)
      const gone = `gone-${i}`
      expect((await put(server.url(gone), kText, 'x'.repeat(3000))).status).toBe(201)
      if (i > 0) expect((await del(server.url(`gone-${i - 1}`))).status).toBe(204)
      if (i === 5) {
        const fork = { ...kText, 'Stream-Forked-From': '/v1/stream/source' }
        expect((await put(server.url('fork'), fork)).status).toBe(201)
        this.streams.set('fork', [...(this.streams.get('source') ?? [])])
      }
      if (i > 5) await this.append(server, 'fork', 2_000)
    }
    // The source stays for its fork; what is deleted is made anew.
    for (const name of ['source', 'deleted', `gone-${kRounds - 1}`]) {
      expect((await del(server.url(name))).status).toBe(204)
      this.streams.delete(name)
    }
    await this.create(server, 'deleted')
    await this.append(server, 'deleted', 100)
    expect((await close(server.url('small-3'))).status).toBe(204)
    expect((await close(server.url('large'))).status).toBe(204)
  }
}
