// Forks of the streams that everybody writes to, and forks of those: made, written to, deleted, in
// any order, while the server dies. A fork shows what its source had at the fork point, and then
// what was written to it, whatever happens around it.
import { positionOf } from '../lib/http.ts'
import type { Random } from '../lib/random.ts'
import { readStored } from './verify.ts'
import { contentType, Line, pause, type SharedStream, type World } from './world.ts'
import { bodyStored } from './stored.ts'

const kForksMax = 8

interface Fork {
  path: string
  /** A shared stream, or another fork. */
  source: SharedStream | Fork
  kind: SharedStream['kind']
  /** How much of the source it shows. */
  point: number
  own: Buffer[]
  deleted: boolean
}

export class Forks {
  private readonly all: Fork[] = []

  constructor(
    private readonly world: World,
    private readonly shared: SharedStream[],
  ) {}

  get made(): number {
    return this.all.length
  }

  async write(name: string, random: Random): Promise<void> {
    const line = new Line(this.world)
    const living: Fork[] = []
    for (let n = 0; !this.world.draining; ++n) {
      if (living.length < kForksMax && random.chance(0.3)) {
        const fork = await this.make(line, `${name}-${n}`, living, random)
        if (fork !== null) living.push(fork)
      } else if (living.length > 0 && random.chance(0.2)) {
        const [fork] = living.splice(random.int(0, living.length - 1), 1)
        if (fork !== undefined) await this.remove(line, fork)
      } else if (living.length > 0) {
        await this.append(line, random.pick(living))
      }
      await pause(random)
    }
    line.close()
  }

  private async make(
    line: Line,
    path: string,
    living: Fork[],
    random: Random,
  ): Promise<Fork | null> {
    const source = random.chance(0.5) && living.length > 0 ? random.pick(living) : this.shared[0]
    if (source === undefined) return null
    const headers = { 'Stream-Forked-From': `/v1/stream/${source.path}` }
    const { answer } = await line.insist('PUT', path, headers)
    if (answer.status !== 200 && answer.status !== 201) {
      this.world.violation(`${path}: fork of ${source.path} answered ${answer.status}`)
      return null
    }
    const point = positionOf(answer.headers.get('stream-next-offset') ?? '')
    const fork = { path, source, kind: source.kind, point, own: [], deleted: false }
    this.all.push(fork)
    return fork
  }

  private async append(line: Line, fork: Fork): Promise<void> {
    const seq = fork.own.length
    const body = Buffer.from(JSON.stringify([fork.path, seq]))
    const headers = {
      'Content-Type': contentType(fork.kind),
      'Producer-Id': 'fork',
      'Producer-Epoch': '0',
      'Producer-Seq': String(seq),
    }
    const { answer } = await line.insist('POST', fork.path, headers, body)
    if (answer.status !== 200 && answer.status !== 204) {
      this.world.violation(`${fork.path} seq ${seq}: answered ${answer.status}`)
    }
    fork.own.push(bodyStored(body, fork.kind))
  }

  // Others may be forks of it: they go on showing its bytes.
  private async remove(line: Line, fork: Fork): Promise<void> {
    const { answer, tries } = await line.insist('DELETE', fork.path)
    const again = tries > 1 && (answer.status === 404 || answer.status === 410)
    if (answer.status !== 204 && !again) {
      this.world.violation(`${fork.path}: DELETE answered ${answer.status}`)
    }
    fork.deleted = true
  }

  /** REQUIRES: writing has ended; `stored` has what the shared streams hold. */
  async verify(stored: Map<SharedStream, Buffer>): Promise<void> {
    for (const fork of this.all) {
      const url = this.world.server.url(fork.path)
      if (fork.deleted) {
        const answer = await fetch(url, { method: 'HEAD' })
        if (answer.status !== 404 && answer.status !== 410) {
          this.world.violation(`${fork.path}: deleted, and HEAD answers ${answer.status}`)
        }
        continue
      }
      if (!(await readStored(url, fork.kind)).equals(this.expected(fork, stored))) {
        this.world.violation(`${fork.path}: does not show what it was forked from and given`)
      }
    }
  }

  private expected(of: SharedStream | Fork, stored: Map<SharedStream, Buffer>): Buffer {
    if (!('source' in of)) return stored.get(of) ?? Buffer.alloc(0)
    const inherited = this.expected(of.source, stored).subarray(0, of.point)
    return Buffer.concat([inherited, ...of.own])
  }
}
