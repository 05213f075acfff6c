// What the protocol makes visible of two answers to one request, and where they differ. Offsets may
// be spelt as a server likes: within one life of a stream, equal ones must stay equal, and larger
// ones larger.
import type { Step } from './sequence.ts'
import type { Seen } from './target.ts'

export interface Difference {
  /** What of the answer: "status", a header's name, "body", "sse ...". */
  what: string
  ours: string
  theirs: string
}

const kAbsent = '(absent)'

// Compared as they are. Others are the server's own business, or handled below.
const kHeaders = [
  'stream-up-to-date',
  'stream-closed',
  'stream-ttl',
  'producer-epoch',
  'producer-seq',
  'producer-expected-seq',
  'producer-received-seq',
  'stream-sse-data-encoding',
]
// Compared by being there or not.
const kPresent = ['stream-next-offset', 'stream-cursor', 'etag', 'location']

/** Which offset of theirs stands for which of ours, for each stream of a sequence. */
export class OffsetNames {
  private readonly pairs = new Map<string, [string, string][]>()

  forget(stream: string): void {
    this.pairs.delete(stream)
  }

  /** Whether the two can stand for the same place, with all that was seen before. */
  agree(stream: string, ours: string, theirs: string): boolean {
    const pairs = this.pairs.get(stream) ?? []
    this.pairs.set(stream, pairs)
    const consistent = pairs.every(
      ([a, b]) => Math.sign(compareText(ours, a)) === Math.sign(compareText(theirs, b)),
    )
    if (consistent) pairs.push([ours, theirs])
    return consistent
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** JSON as a value, spelt one way; other text as it is. */
function canonicalJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text))
  } catch {
    return text
  }
}

function isJson(seen: Seen): boolean {
  return (seen.headers.get('content-type') ?? '').toLowerCase().startsWith('application/json')
}

function canonicalType(type: string | undefined): string {
  return type === undefined ? kAbsent : type.toLowerCase().replace(/\s*;\s*/g, ';')
}

function bodyOf(seen: Seen): string {
  const text = seen.body.toString('utf8')
  return isJson(seen) ? canonicalJson(text) : text
}

function isArray(text: string): boolean {
  try {
    return Array.isArray(JSON.parse(text))
  } catch {
    return false
  }
}

/** What is in data events, put together: as text, or (base64) as bytes. */
function sseText(seen: Seen): string {
  const events = sseEvents(seen)
  if (seen.headers.get('stream-sse-data-encoding') !== 'base64') return events.join('')
  // Base64 of pieces is not the pieces of base64.
  return Buffer.concat(events.map((event) => Buffer.from(event, 'base64'))).toString('latin1')
}

/** The same as messages, if each event is an array of them. */
function sseMessages(seen: Seen): string {
  const arrays = sseEvents(seen).map((event) => canonicalJson(event))
  if (!arrays.every(isArray)) return sseText(seen)
  return arrays
    .map((event) => event.slice(1, -1))
    .filter((event) => event !== '')
    .join(',')
}

function sseEvents(seen: Seen): string[] {
  return (seen.sse?.data ?? '').split('\u0000').slice(0, -1)
}

export function compare(
  step: Step,
  ours: Seen,
  theirs: Seen,
  offsets: OffsetNames,
): Difference[] {
  const found: Difference[] = []
  const differ = (what: string, a: string, b: string): void => {
    if (a !== b) found.push({ what, ours: a, theirs: b })
  }
  differ('status', String(ours.status), String(theirs.status))
  if (found.length > 0) return found

  for (const name of kHeaders) {
    differ(name, ours.headers.get(name) ?? kAbsent, theirs.headers.get(name) ?? kAbsent)
  }
  for (const name of kPresent) {
    const shown = (seen: Seen): string => (seen.headers.has(name) ? 'present' : kAbsent)
    differ(name, shown(ours), shown(theirs))
  }
  // A new life of the path has offsets of its own.
  if (step.method === 'PUT' && ours.status === 201) offsets.forget(step.stream)
  const compareOffsets = (what: string, a: string | undefined, b: string | undefined): void => {
    if (a === undefined || b === undefined) return
    if (!offsets.agree(step.stream, a, b)) differ(what, a, b)
  }
  compareOffsets(
    'next offset',
    ours.headers.get('stream-next-offset'),
    theirs.headers.get('stream-next-offset'),
  )
  const expiry = (seen: Seen): string => {
    const text = seen.headers.get('stream-expires-at')
    return text === undefined ? kAbsent : String(Date.parse(text))
  }
  differ('stream-expires-at', expiry(ours), expiry(theirs))
  if (ours.status >= 300) return found

  const type = (seen: Seen): string => canonicalType(seen.headers.get('content-type'))
  if (ours.status !== 204) differ('content-type', type(ours), type(theirs))
  if (ours.sse === undefined && theirs.sse === undefined) {
    if (step.method === 'GET') differ('body', bodyOf(ours), bodyOf(theirs))
    return found
  }
  // Which of the two it is, the answer does not say.
  if (sseText(ours) !== sseText(theirs))
    differ('sse data', sseMessages(ours), sseMessages(theirs))
  const a = ours.sse?.control ?? {}
  const b = theirs.sse?.control ?? {}
  for (const name of ['upToDate', 'streamClosed'])
    differ(`sse ${name}`, String(a[name]), String(b[name]))
  const cursor = (control: Record<string, unknown>): string => typeof control.streamCursor
  differ('sse streamCursor', cursor(a), cursor(b))
  compareOffsets('sse offset', a.streamNextOffset as string, b.streamNextOffset as string)
  return found
}
