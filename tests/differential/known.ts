// Where this server and the reference server are known to answer differently, and who is right by
// PROTOCOL.md (§ names its sections). A difference that is not here fails the test.
import type { Difference } from './compare.ts'
import type { Step, Value } from './sequence.ts'
import type { Seen } from './target.ts'

/** What a sequence has come to. */
export interface Context {
  /** The step that created what is at a path now. */
  createdAt: ReadonlyMap<string, number>
}

export interface Known {
  name: string
  /** Who is right, and where that is said. */
  why: string
  /** The two have different streams afterwards, although both accepted or refused the request. */
  parts?: boolean
  matches: (
    difference: Difference,
    step: Step,
    ours: Seen,
    theirs: Seen,
    context: Context,
  ) => boolean
}

function header(step: Step, name: string): Value | undefined {
  return step.headers.find(([key]) => key === name)?.[1]
}
function parameter(step: Step, name: string): Value | undefined {
  return step.query.find(([key]) => key === name)?.[1]
}
/** Whether an offset was told by an earlier stream at this path. */
function isOfEarlierLife(
  value: Value | undefined,
  stream: string,
  { createdAt }: Context,
): boolean {
  if (value === undefined || typeof value === 'string') return false
  return value.from < (createdAt.get(stream) ?? 0)
}
function statuses(ours: Seen, theirs: Seen): string {
  return `${ours.status}/${theirs.status}`
}
function code(seen: Seen): string {
  try {
    return String((JSON.parse(seen.body.toString('utf8')) as { code?: unknown }).code)
  } catch {
    return ''
  }
}

function withoutSpaces(text: string): string {
  return text.replaceAll(' ', '')
}

export const kKnown: readonly Known[] = [
  {
    name: 'what is malformed is refused whatever stream it is for',
    why: 'freedom: §5 gives no order of 400 before 404 and 410',
    matches: ({ what }, _, ours, theirs) =>
      what === 'status' &&
      ours.status === 400 &&
      (theirs.status === 404 || theirs.status === 410),
  },
  {
    name: 'a duplicate is told where its stream ends',
    why: 'ours is right (§5.2): Stream-Next-Offset is on every success',
    matches: ({ what, theirs }, step, ours) =>
      what === 'stream-next-offset' &&
      theirs === '(absent)' &&
      ours.status === 204 &&
      header(step, 'Producer-Id') !== undefined,
  },
  {
    name: 'an empty Stream-TTL',
    why: 'ours is right (§5.1): 400, as it is no number; theirs takes it for none',
    matches: ({ what }, step, ours) =>
      what === 'status' && header(step, 'Stream-TTL') === '' && code(ours) === 'invalid_ttl',
  },
  {
    name: 'errors tell where the tail is',
    why: 'freedom (§11.1): one more header',
    matches: ({ what, theirs }, _, ours) =>
      what === 'stream-next-offset' && theirs === '(absent)' && ours.status >= 400,
  },
  {
    name: '304 tells what the 200 told',
    why:
      'freedom: RFC 9110 §15.4.5 wants as many headers of the 200 as may change what ' +
      'is cached',
    matches: ({ what, theirs }, _, ours) =>
      ours.status === 304 && theirs === '(absent)' && what.startsWith('stream-'),
  },
  {
    name: 'a long-poll for the beginning of an empty stream waits',
    why: 'ours is right (§5.7): there is no data, and the stream is not closed',
    matches: ({ what }, step, ours, theirs) =>
      what === 'status' &&
      parameter(step, 'live') === 'long-poll' &&
      statuses(ours, theirs) === '204/200' &&
      theirs.body.length <= 2,
  },
  {
    name: 'an accepted tuple is a duplicate first of all',
    why:
      'ours on purpose (§5.2.1, validation logic): the retry of what was stored is ' +
      'told so, also when the stream has been closed since, or the type or Stream-Seq would not do now',
    matches: ({ what }, step, ours, theirs) =>
      what === 'status' &&
      header(step, 'Producer-Id') !== undefined &&
      statuses(ours, theirs) === '204/409',
  },
  {
    name: 'Stream-Expires-At that is no RFC 3339 timestamp',
    why:
      'ours is right (§5.1): 400; theirs takes what Date() takes, and answers 500 if ' +
      'that is past',
    matches: ({ what }, step, ours) =>
      what === 'status' &&
      code(ours) === 'invalid_expires_at' &&
      header(step, 'Stream-Expires-At') !== undefined,
  },
  {
    name: 'Stream-Closed: TRUE closes',
    why: 'ours is right (§4.1): the value counts in any case',
    parts: true,
    matches: (_, step) => header(step, 'Stream-Closed') === 'TRUE',
  },
  {
    name: 'SSE: the control of a closed stream says upToDate',
    why: 'freedom (§5.8): streamClosed implies it',
    matches: ({ what, ours, theirs }) =>
      what === 'sse upToDate' && ours === 'true' && theirs === 'undefined',
  },
  {
    name: 'a Content-Type that is none',
    why: 'ours is right (§5.1, §5.2): 400; 409 is for a valid one that does not match',
    matches: ({ what }, _, ours) => what === 'status' && code(ours) === 'invalid_content_type',
  },
  {
    name: 'a live mode that there is not',
    why: 'ours is right (§5.6): an invalid parameter is 400; theirs ignores it',
    matches: ({ what }, _, ours, theirs) =>
      what === 'status' &&
      code(ours) === 'invalid_query' &&
      (theirs.status === 200 || theirs.status === 304),
  },
  {
    name: 'numbers of a producer with leading zeros',
    why: 'ours is right (§5.2.1): one spelling for one number, as §5.1 has it for Stream-TTL',
    matches: ({ what }, step, ours) =>
      what === 'status' &&
      code(ours) === 'invalid_producer' &&
      ['Producer-Epoch', 'Producer-Seq'].some((name) => header(step, name) === '01'),
  },
  {
    name: 'an ETag of the same answer at another URL',
    why: 'freedom (§10.1): ours names what was read, however it was asked for',
    matches: ({ what }, step, ours, theirs) =>
      what === 'status' &&
      header(step, 'If-None-Match') !== undefined &&
      statuses(ours, theirs) === '304/200',
  },
  {
    name: 'Stream-Seq of a request that only closes',
    why: 'ours is right (§5.2): a regression MUST be refused; theirs does not look',
    matches: ({ what }, step, ours, theirs) =>
      what === 'status' &&
      header(step, 'Stream-Seq') !== undefined &&
      step.body === undefined &&
      code(ours) === 'sequence_regression' &&
      theirs.status === 204,
  },
  {
    name: 'JSON behind a byte order mark',
    why: 'ours is right (RFC 8259 §8.1): none must be added; theirs removes it',
    matches: ({ what }, step, ours) =>
      what === 'status' &&
      code(ours) === 'invalid_json' &&
      step.body?.startsWith('\ufeff') === true,
  },
  {
    name: 'an offset of an earlier stream at the same path',
    why: 'ours is right (§4, §8): that offset never meant anything here; theirs uses it again',
    matches: ({ what }, step, ours, _, context) =>
      what === 'status' &&
      ours.status === 410 &&
      isOfEarlierLife(parameter(step, 'offset'), step.stream, context),
  },
  {
    name: 'a time to live of more than 10,000,000,000 seconds',
    why: 'freedom: a documented limit; theirs overflows',
    matches: ({ what }, step, ours) =>
      what === 'status' &&
      code(ours) === 'invalid_ttl' &&
      header(step, 'Stream-TTL') === '9007199254740992',
  },
  {
    name: 'a duplicate that asks to close does not close',
    why:
      'ours is right (§5.2.1): a tuple that was accepted stores nothing; theirs says ' +
      'closed, and is not',
    matches: ({ what, theirs }, step, ours) =>
      what === 'stream-closed' &&
      ours.status === 204 &&
      theirs === 'true' &&
      header(step, 'Producer-Id') !== undefined &&
      header(step, 'Stream-Closed') !== undefined,
  },
  {
    name: 'the same fork once more',
    why:
      'ours is right (§4.2): the same request MUST be 200; theirs compares what it ' +
      'inherited',
    matches: ({ what }, step, ours, theirs) =>
      what === 'status' &&
      header(step, 'Stream-Forked-From') !== undefined &&
      statuses(ours, theirs) === '200/409',
  },
  {
    name: 'a body that is malformed for its own type is refused first',
    why: 'freedom: §5.2 orders conflicts, not 400 and 403 or 409',
    matches: ({ what }, _, ours, theirs) =>
      what === 'status' &&
      ['400/403', '400/409'].includes(statuses(ours, theirs)) &&
      ['invalid_json', 'empty_array'].includes(code(ours)),
  },
  {
    name: 'a duplicate is told the end of its own append',
    why:
      'ours on purpose: §5.2 says the tail after the append, and it is this append ' +
      'that is answered',
    matches: ({ what }, step, ours) =>
      what === 'next offset' &&
      ours.status === 204 &&
      header(step, 'Producer-Id') !== undefined,
  },
  {
    name: 'Stream-Fork-Offset without a source',
    why: 'ours is right (§5.1): it requires Stream-Forked-From; theirs ignores it',
    matches: ({ what }, _, ours) =>
      what === 'status' && code(ours) === 'fork_header_without_source',
  },
  {
    name: 'an older epoch on a closed stream',
    why:
      'ours on purpose (§5.2.1, validation logic): a producer learns first that it ' +
      'was replaced',
    matches: ({ what }, _, ours, theirs) =>
      what === 'status' && code(ours) === 'producer_fenced' && theirs.status === 409,
  },
  {
    name: 'SSE: a line that begins with a space keeps it',
    why: 'ours is right (§5.8): a reader takes one space away, so there must be another',
    matches: ({ what, ours, theirs }) =>
      what === 'sse data' && withoutSpaces(ours) === withoutSpaces(theirs),
  },
  {
    name: 'If-None-Match of a long-poll',
    why: 'ours is right (§10.1): it is for catch-up reads; a long-poll is not cut short by it',
    matches: ({ what }, step, ours, theirs) =>
      what === 'status' &&
      parameter(step, 'live') === 'long-poll' &&
      header(step, 'If-None-Match') !== undefined &&
      theirs.status === 304 &&
      (ours.status === 200 || ours.status === 204),
  },
  {
    name: 'a fork at an offset that is empty, or of an earlier stream at that path',
    why:
      'ours is right (§4.2): no offset of the source is 400; theirs ignores it, or ' +
      'uses it again',
    matches: ({ what }, step, ours, _, context) => {
      const offset = header(step, 'Stream-Fork-Offset')
      const source = String(header(step, 'Stream-Forked-From')).slice('stream:'.length)
      return (
        what === 'status' &&
        code(ours) === 'invalid_fork_offset' &&
        (offset === '' || isOfEarlierLife(offset, source, context))
      )
    },
  },
  {
    name: 'a body that is malformed, of a request that would store nothing',
    why: 'freedom: §5 gives no order of 400 before an answer that all is there already',
    matches: ({ what }, step, ours, theirs) =>
      what === 'status' &&
      ['invalid_json', 'empty_array'].includes(code(ours)) &&
      (step.method === 'PUT' ? theirs.status === 200 : theirs.status === 204),
  },
  {
    name: 'a fork sub-offset that is malformed, at a path that is taken',
    why: 'freedom: §4.2 gives no order of 400 and 409',
    matches: ({ what }, _, ours, theirs) =>
      what === 'status' && code(ours) === 'invalid_fork_sub_offset' && theirs.status === 409,
  },
  {
    name: 'the parameters of the type of a fork',
    why: 'freedom (§4.2): the types match without them; ours shows those of the source',
    matches: ({ what, ours, theirs }) =>
      what === 'content-type' && ours.split(';')[0] === theirs.split(';')[0],
  },
  {
    name: 'a soft-deleted stream is gone for its producers, too',
    why: 'ours is right (§4.2): 410 for all operations; theirs closes it, or says that it is closed',
    matches: ({ what }, step, ours, theirs) =>
      what === 'status' &&
      code(ours) === 'stream_deleted' &&
      step.method === 'POST' &&
      (theirs.status === 204 || theirs.status === 409),
  },
  {
    name: 'the ETag of an earlier stream at the same path',
    why: 'ours is right (§10.1): a stream that is another has other ETags',
    matches: ({ what }, step, ours, theirs, context) =>
      what === 'status' &&
      statuses(ours, theirs) === '200/304' &&
      isOfEarlierLife(header(step, 'If-None-Match'), step.stream, context),
  },
]
