// Reads everything back and compares it with the book.
import { get, nextOffset, positionOf } from '../lib/http.ts'
import { nameAt, storedOf, type Kind } from './message.ts'
import { bodyStored } from './stored.ts'
import type { SharedStream, World } from './world.ts'

/** A stream's bytes in stored form. */
export async function readStored(url: string, kind: Kind): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let offset = '-1'; ;) {
    const answer = await get(`${url}?offset=${offset}`)
    if (answer.status !== 200) throw new Error(`GET answered ${answer.status}: ${answer.text}`)
    parts.push(bodyStored(answer.bytes, kind))
    offset = nextOffset(answer)
    if (answer.headers.has('stream-up-to-date')) return Buffer.concat(parts)
  }
}

/** Nothing answered is lost, doubled, reordered, torn, or elsewhere than the answer said. */
export function verifyShared(world: World, stream: SharedStream, stored: Buffer): void {
  const ends = new Map<string, number>()
  const latest = new Map<string, number>()
  for (let at = 0; at < stored.length;) {
    const name = nameAt(stored, at, stream.kind)
    if (name === null) {
      world.violation(`${stream.path}: no message begins at ${at}`)
      return
    }
    const whole = storedOf(world.seed, name, stream.kind)
    const key = `${name.writer}|${name.n}`
    if (!stored.subarray(at, at + whole.length).equals(whole)) {
      world.violation(`${stream.path}: ${key} at ${at} is not whole`)
      return
    }
    if (ends.has(key)) world.violation(`${stream.path}: ${key} is there twice`)
    const before = latest.get(name.writer) ?? -1
    if (name.n < before) world.violation(`${stream.path}: ${key} comes after #${before}`)
    latest.set(name.writer, name.n)
    at += whole.length
    ends.set(key, at)
  }
  const known = new Set<string>()
  for (const record of stream.appends) {
    const key = `${record.writer}|${record.n}`
    known.add(key)
    if (record.offset === null) continue
    const end = ends.get(key)
    if (end === undefined) world.violation(`${stream.path}: answered ${key} is lost`)
    else if (end !== positionOf(record.offset)) {
      world.violation(`${stream.path}: ${key} ends at ${end}, the answer said ${record.offset}`)
    }
  }
  for (const key of ends.keys()) {
    if (!known.has(key)) world.violation(`${stream.path}: nobody wrote ${key}`)
  }
}

export async function verifyShortLives(world: World): Promise<void> {
  for (const { path, end, text } of world.lives) {
    const answer = await get(world.server.url(path))
    const wanted = end === 'closed' ? 200 : end === 'deleted' ? 404 : 410
    if (answer.status !== wanted) {
      world.violation(`${path} (${end}): GET answered ${answer.status}, not ${wanted}`)
    }
    if (end === 'closed' && (answer.text !== text || !answer.headers.has('stream-closed'))) {
      world.violation(`${path}: closed with other content than written, or open again`)
    }
    if (end === 'forked') {
      const fork = await get(world.server.url(`${path}-fork`))
      if (fork.status !== 200 || fork.text !== text || fork.headers.has('stream-closed')) {
        world.violation(
          `${path}-fork: does not show its source's ${text.length} bytes: ${fork.status}`,
        )
      }
    }
  }
}
