// Sequences of requests, by the seed: mostly such as a client would send to the streams that it has
// made, some of them nearly valid. What only a server can know (offsets, ETags) stands for itself:
// a reference to an earlier answer, that each server fills in with its own.
import type { Random } from '../lib/random.ts'

/** A text, or what the answer to an earlier step said. */
export type Value = string | { from: number; what: 'offset' | 'etag' }

export interface Step {
  /** Stays the same when a sequence is cut down: references name it. */
  id: number
  method: string
  /** Which of the sequence's streams. */
  stream: string
  headers: [string, Value][]
  query: [string, Value][]
  body?: string
}

const kNames = ['a', 'b', 'c', 'd']
const kTypes = ['text/plain', 'application/json', 'application/octet-stream']
const kNearTypes = ['TEXT/Plain', 'text/plain; charset=utf-8', 'text/html', 'x']
const kTexts = [
  'hello',
  'x',
  ' two words',
  'line\nline',
  'é€😀',
  'a\r\nb\rc',
  '[1]',
  '{',
  '\n\n',
]
const kJsonTexts = [
  '1',
  '"s"',
  '{"a":1}',
  '[1,2,3]',
  '[[1],[2]]',
  'null',
  ' [ {"k": [] } , 2 ] ',
]
const kBadJsonTexts = [
  '[]',
  '[1,',
  '{"a":}',
  'nul',
  '01',
  '[1]x',
  '"\u0001"',
  '\ufeff[1]',
  'NaN',
]
const kNumbers = ['0', '1', '2', '3', '5']
const kBadNumbers = ['-1', '+1', '01', '1.5', '1e3', '', 'x', '9007199254740992', '0x1']
const kTtls = ['60', '3600', '1000']
const kDates = ['2999-01-01T00:00:00Z', '2999-01-01T00:00:00.000Z', '2998-06-01T12:30:00+02:00']
const kBadDates = ['tomorrow', '2999-13-01T00:00:00Z', '', '-1']
const kOffsets = ['-1', 'now']
const kBadOffsets = [
  '',
  '-2',
  'x',
  '0_',
  '_',
  '1-1',
  'NOW',
  '0000000000000000_000000000000000x',
]

/** What the sequence knows of its streams, as far as it can guess. */
interface Guess {
  type: string
  closed: boolean
  /** The next sequence of the producers that write here. */
  producers: Map<string, { epoch: number; seq: number }>
}

export class Generator {
  private readonly streams = new Map<string, Guess>()
  private steps: Step[] = []

  constructor(private readonly random: Random) {}

  sequence(length: number): Step[] {
    this.steps = []
    while (this.steps.length < length) this.steps.push(this.step(this.steps.length))
    return this.steps
  }

  private step(id: number): Step {
    const { random } = this
    const known = [...this.streams.keys()]
    const stream =
      known.length > 0 && random.chance(0.9) ? random.pick(known) : random.pick(kNames)
    const step: Step = { id, method: 'GET', stream, headers: [], query: [] }
    const guess = this.streams.get(stream)
    if (guess === undefined && random.chance(0.85)) {
      this.create(step)
      return step
    }
    switch (
      random.pick([
        'create',
        'fork',
        'append',
        'append',
        'append',
        'produce',
        'produce',
        'produce',
        'close',
        'read',
        'read',
        'read',
        'live',
        'head',
        'delete',
        'again',
        'other',
      ])
    ) {
      case 'create':
        this.create(step)
        break
      case 'fork':
        this.fork(step, known)
        break
      case 'append':
        this.append(step, guess)
        break
      case 'produce':
        this.append(step, guess)
        this.producer(step, guess)
        break
      case 'close':
        this.close(step, guess)
        break
      case 'live':
        this.read(step)
        step.query.push(['live', random.chance(0.9) ? random.pick(['long-poll', 'sse']) : 'x'])
        if (random.chance(0.3))
          step.query.push(['cursor', random.pick(['0', '99999999999', 'x'])])
        break
      case 'head':
        step.method = 'HEAD'
        break
      case 'delete':
        if (random.chance(0.5)) {
          step.method = 'DELETE'
          this.streams.delete(stream)
        } else {
          step.method = 'HEAD'
        }
        break
      case 'again':
        return this.again(step)
      case 'other':
        if (random.chance(0.2)) step.method = 'PATCH'
        else this.read(step)
        break
      default:
        this.read(step)
    }
    return step
  }

  /** The same request once more, as after a lost answer. */
  private again(step: Step): Step {
    const writes = this.steps.filter(({ method }) => method === 'PUT' || method === 'POST')
    if (writes.length === 0) return step
    return { ...this.random.pick(writes), id: step.id }
  }

  private create(step: Step): void {
    const { random } = this
    step.method = 'PUT'
    const type = random.pick(kTypes)
    if (random.chance(0.95)) step.headers.push(['Content-Type', this.type(type)])
    if (random.chance(0.15)) {
      step.headers.push(['Stream-TTL', this.either(kTtls, kBadNumbers, 0.3)])
    }
    if (random.chance(0.1)) {
      step.headers.push(['Stream-Expires-At', this.either(kDates, kBadDates, 0.3)])
    }
    const closed = random.chance(0.1)
    if (closed) step.headers.push(['Stream-Closed', this.truth()])
    if (random.chance(0.4)) step.body = this.body(type)
    if (!this.streams.has(step.stream)) {
      this.streams.set(step.stream, { type, closed, producers: new Map() })
    }
  }

  private fork(step: Step, known: string[]): void {
    const { random } = this
    step.method = 'PUT'
    const source = random.chance(0.9) && known.length > 0 ? random.pick(known) : 'nowhere'
    const free = kNames.filter((name) => !this.streams.has(name))
    if (free.length > 0 && random.chance(0.8)) step.stream = random.pick(free)
    const type = this.streams.get(source)?.type ?? 'text/plain'
    step.headers.push(['Stream-Forked-From', `stream:${source}`])
    if (random.chance(0.3)) step.headers.push(['Content-Type', this.type(type)])
    if (random.chance(0.6)) {
      step.headers.push(['Stream-Fork-Offset', this.offset(source)])
      if (random.chance(0.4)) {
        step.headers.push(['Stream-Fork-Sub-Offset', this.either(kNumbers, kBadNumbers, 0.2)])
      }
    }
    if (random.chance(0.15)) step.headers.push(['Stream-TTL', random.pick(kTtls)])
    if (random.chance(0.2)) step.body = this.body(type)
    if (random.chance(0.1)) step.headers.push(['Stream-Closed', 'true'])
    if (!this.streams.has(step.stream) && source !== 'nowhere') {
      this.streams.set(step.stream, { type, closed: false, producers: new Map() })
    }
  }

  private append(step: Step, guess: Guess | undefined): void {
    const { random } = this
    step.method = 'POST'
    const type = guess?.type ?? random.pick(kTypes)
    if (random.chance(0.97)) step.headers.push(['Content-Type', this.type(type)])
    if (random.chance(0.97)) step.body = this.body(type)
    if (random.chance(0.15)) {
      step.headers.push(['Stream-Seq', random.pick(['1', '2', '10', 'a', 'b', 'B', 'aa'])])
    }
    if (random.chance(0.05)) {
      step.headers.push(['Stream-Closed', this.truth()])
      if (guess !== undefined) guess.closed = true
    }
  }

  private producer(step: Step, guess: Guess | undefined): void {
    const { random } = this
    const id = random.pick(['p', 'q'])
    const next = guess?.producers.get(id) ?? { epoch: 0, seq: 0 }
    let { epoch, seq } = next
    const kind = random.int(0, 9)
    if (kind === 0) {
      epoch += 1
      seq = random.pick([0, 0, 0, 1])
    }
    if (kind === 1) epoch = Math.max(0, epoch - 1)
    if (kind === 2) seq = Math.max(0, seq - random.int(1, 2))
    if (kind === 3) seq += random.int(1, 2)
    if (kind !== 1 && kind !== 2 && kind !== 3) {
      guess?.producers.set(id, { epoch, seq: seq + 1 })
    }
    const headers: [string, Value][] = [
      ['Producer-Id', random.chance(0.97) ? id : ''],
      ['Producer-Epoch', random.chance(0.97) ? String(epoch) : random.pick(kBadNumbers)],
      ['Producer-Seq', random.chance(0.97) ? String(seq) : random.pick(kBadNumbers)],
    ]
    if (random.chance(0.04)) headers.splice(random.int(0, 2), 1)
    step.headers.push(...headers)
  }

  private close(step: Step, guess: Guess | undefined): void {
    const { random } = this
    this.append(step, guess)
    if (random.chance(0.6)) delete step.body
    if (random.chance(0.3)) this.producer(step, guess)
    step.headers = step.headers.filter(([name]) => name !== 'Stream-Closed')
    step.headers.push(['Stream-Closed', this.truth()])
    if (guess !== undefined) guess.closed = true
  }

  private read(step: Step): void {
    const { random } = this
    if (random.chance(0.9)) step.query.push(['offset', this.offset(step.stream)])
    if (random.chance(0.03)) step.query.push(['offset', '-1'])
    const reads = this.steps.filter((s) => s.method === 'GET' && s.stream === step.stream)
    if (reads.length > 0 && random.chance(0.2)) {
      step.headers.push(['If-None-Match', { from: random.pick(reads).id, what: 'etag' }])
    }
  }

  /** An offset of this stream, as an earlier answer told it. */
  private offset(stream: string): Value {
    const { random } = this
    const told = this.steps.filter((step) => step.stream === stream)
    if (told.length > 0 && random.chance(0.7))
      return { from: random.pick(told).id, what: 'offset' }
    return this.either(kOffsets, kBadOffsets, 0.1)
  }

  private type(type: string): string {
    return this.random.chance(0.95) ? type : this.random.pick([...kTypes, ...kNearTypes])
  }

  private truth(): string {
    return this.random.chance(0.9)
      ? 'true'
      : this.random.pick(['TRUE', 'false', '1', 'yes', ''])
  }

  private body(type: string): string {
    const { random } = this
    if (type !== 'application/json') return random.pick(kTexts)
    return this.either(kJsonTexts, kBadJsonTexts, 0.08)
  }

  private either(good: readonly string[], bad: readonly string[], probability: number): string {
    return this.random.pick(this.random.chance(probability) ? bad : good)
  }
}
