// What the writers write: messages that can be told from their first bytes and made again from
// their names, so that every byte of a stream can be checked without having been remembered.
import { Random } from '../lib/random.ts'

export type Kind = 'text' | 'json'

/** The name of a message: its writer and its number, unique in a run. */
export interface Name {
  writer: string
  n: number
}

const kLargeChance = 0.02
const kHugeChance = 0.0005

function random(seed: number, { writer, n }: Name): Random {
  let mixed = seed ^ Math.imul(n + 1, 0x9e3779b1)
  for (const char of writer) mixed = Math.imul(mixed ^ char.charCodeAt(0), 0x01000193)
  return new Random(mixed)
}

function fillLength(random: Random): number {
  const kind = random.next()
  if (kind < kHugeChance) return random.int(200_000, 400_000)
  if (kind < kLargeChance) return random.int(4_000, 40_000)
  return random.int(0, 300)
}

/** The body of the append. */
export function bodyOf(seed: number, name: Name, kind: Kind): Buffer {
  const choose = random(seed, name)
  const fill = 'abcdefgh'.charAt(choose.int(0, 7)).repeat(fillLength(choose))
  if (kind === 'text') return Buffer.from(`<${name.writer}|${name.n}>${fill}\n`)
  const first = JSON.stringify({ name: `${name.writer}|${name.n}`, fill })
  const more = Array.from({ length: choose.int(0, 4) }, (_, i) => JSON.stringify([name.n, i]))
  return Buffer.from(more.length === 0 ? first : `[${[first, ...more].join(', ')}]`)
}

/** The same message as it stands in the stream. */
export function storedOf(seed: number, name: Name, kind: Kind): Buffer {
  const body = bodyOf(seed, name, kind)
  if (kind === 'text') return body
  const parsed = JSON.parse(body.toString()) as unknown
  const elements = Array.isArray(parsed) ? parsed : [parsed]
  return Buffer.from(elements.map((element) => `${JSON.stringify(element)},`).join(''))
}

/** The name of the message that begins at `at`, or null if none does. */
export function nameAt(stored: Buffer, at: number, kind: Kind): Name | null {
  const start = stored.subarray(at, at + 100).toString('latin1')
  const pattern = kind === 'text' ? /^<([^|]+)\|(\d+)>/ : /^\{"name":"([^|]+)\|(\d+)"/
  const match = pattern.exec(start)
  if (match === null) return null
  return { writer: match[1] ?? '', n: Number(match[2]) }
}
