// The writers: each keeps the book of what it was answered, and goes on after every crash the way
// a correct client would.
import { encodeRequest, type RawAnswer, type RawConnection } from '../lib/raw.ts'
import { Random } from '../lib/random.ts'
import { bodyOf } from './message.ts'
import {
  contentType,
  Line,
  pause,
  type AppendRecord,
  type SharedStream,
  type World,
} from './world.ts'

const kPipelineDepth = 4

function offsetOf(answer: RawAnswer): string {
  return answer.headers.get('stream-next-offset') ?? ''
}

function describe(answer: RawAnswer): string {
  return `${answer.status} ${answer.body.toString('latin1').slice(0, 200)}`
}

/** Unique payloads, one at a time; an append without an answer is left to its fate. */
export async function plainWriter(
  world: World,
  name: string,
  stream: SharedStream,
  random: Random,
): Promise<void> {
  const line = new Line(world)
  for (let n = 0; !world.draining; ++n) {
    const record: AppendRecord = { writer: name, n, offset: null }
    stream.appends.push(record)
    const body = bodyOf(world.seed, record, stream.kind)
    const headers = { 'Content-Type': contentType(stream.kind) }
    const answer = await line.ask('POST', stream.path, headers, body)
    if (answer !== null && answer.status === 204) record.offset = offsetOf(answer)
    else if (answer !== null) world.violation(`${name} #${n}: append answered ${describe(answer)}`)
    await pause(random)
  }
  line.close()
}

/**
 * An idempotent producer with several requests in flight. After a crash it sends what was not
 * answered again, with the same epoch and sequence numbers.
 */
export async function producerWriter(
  world: World,
  name: string,
  stream: SharedStream,
  random: Random,
): Promise<void> {
  const unanswered: AppendRecord[] = []
  let next = 0
  let connection: RawConnection | null = null
  let inFlight: Promise<RawAnswer>[] = []
  const post = (to: RawConnection, record: AppendRecord): Promise<RawAnswer> => {
    const headers = {
      'Content-Type': contentType(stream.kind),
      'Producer-Id': name,
      'Producer-Epoch': '0',
      'Producer-Seq': String(record.n),
    }
    const body = bodyOf(world.seed, record, stream.kind)
    to.write(encodeRequest('POST', `/v1/stream/${stream.path}`, headers, body))
    const answer = to.answer()
    answer.catch(() => {})
    return answer
  }
  while (!world.draining || unanswered.length > 0) {
    if (connection === null) {
      const fresh = await world.connection()
      world.retried += unanswered.length
      inFlight = unanswered.map((record) => post(fresh, record))
      connection = fresh
    }
    while (!world.draining && unanswered.length < kPipelineDepth) {
      const record: AppendRecord = { writer: name, n: next++, offset: null }
      unanswered.push(record)
      stream.appends.push(record)
      inFlight.push(post(connection, record))
    }
    const oldest = unanswered[0]
    const first = inFlight.shift()
    if (oldest === undefined || first === undefined) break
    try {
      const answer = await first
      ++world.answered
      if (answer.status === 200 || answer.status === 204) oldest.offset = offsetOf(answer)
      else world.violation(`${name} seq ${oldest.n}: answered ${describe(answer)}`)
      unanswered.shift()
    } catch {
      connection.close()
      connection = null
    }
    if (random.chance(0.3)) await pause(random)
  }
  connection?.close()
}

/**
 * Appends under If-Match to a stream of its own: a repeated append whose first try had landed is
 * refused with 412 and the tail after it, so that nothing is ever doubled.
 */
export async function conditionalWriter(
  world: World,
  name: string,
  stream: SharedStream,
  random: Random,
): Promise<void> {
  const line = new Line(world)
  const created = await line.insist('HEAD', stream.path)
  let tail = offsetOf(created.answer)
  for (let n = 0; !world.draining; ++n) {
    const record: AppendRecord = { writer: name, n, offset: null }
    stream.appends.push(record)
    const body = bodyOf(world.seed, record, stream.kind)
    const headers = { 'Content-Type': contentType(stream.kind), 'If-Match': `"${tail}"` }
    const { answer, tries } = await line.insist('POST', stream.path, headers, body)
    const landedEarlier = answer.status === 412 && tries > 1
    if (answer.status !== 204 && !landedEarlier) {
      world.violation(`${name} #${n}, try ${tries}: If-Match ${tail} answered ${describe(answer)}`)
      const now = await line.insist('HEAD', stream.path)
      tail = offsetOf(now.answer)
      continue
    }
    tail = offsetOf(answer)
    record.offset = tail
    await pause(random)
  }
  line.close()
}

/** Streams that are created, filled, closed, and then kept, deleted, or forked and deleted. */
export async function shortLivesWriter(world: World, name: string, random: Random): Promise<void> {
  const line = new Line(world)
  const text = { 'Content-Type': 'text/plain' }
  const expect = (what: string, answer: RawAnswer, ...statuses: number[]): void => {
    if (!statuses.includes(answer.status)) {
      world.violation(`${name}: ${what} answered ${describe(answer)}`)
    }
  }
  for (let life = 0; !world.draining; ++life) {
    const path = `${name}-${life}`
    const source = `source of ${path}`
    expect(`create ${path}`, (await line.insist('PUT', path, text)).answer, 200, 201)
    let content = ''
    const appends = random.int(1, 4)
    for (let seq = 0; seq < appends; ++seq) {
      const part = `${source} ${seq}\n`
      const last = seq === appends - 1
      const headers = {
        ...text,
        'Producer-Id': name,
        'Producer-Epoch': '7',
        'Producer-Seq': String(seq),
        ...(last ? { 'Stream-Closed': 'true' } : {}),
      }
      const { answer } = await line.insist('POST', path, headers, Buffer.from(part))
      expect(`${last ? 'close' : 'append to'} ${path} seq ${seq}`, answer, 200, 204)
      content += part
      if (last && !answer.headers.has('stream-closed')) {
        world.violation(`${path}: the closing append was answered without Stream-Closed`)
      }
    }
    const end = random.pick(['closed', 'deleted', 'forked'] as const)
    if (end === 'forked') {
      const headers = { 'Stream-Forked-From': `/v1/stream/${path}` }
      const forked = await line.insist('PUT', `${path}-fork`, headers)
      expect(`fork ${path}`, forked.answer, 200, 201)
    }
    if (end !== 'closed') {
      const { answer, tries } = await line.insist('DELETE', path)
      const again = tries > 1 ? [404, 410] : []
      expect(`delete ${path}`, answer, 204, ...again)
    }
    world.lives.push({ path, end, text: content })
    await pause(random)
  }
  line.close()
}
