import type { Kind } from './message.ts'

/** From the body of a read to the stored bytes that it shows: JSON messages each gain a comma. */
export function bodyStored(body: Buffer, kind: Kind): Buffer {
  if (kind === 'text') return body
  const messages = body.subarray(1, -1)
  return messages.length === 0 ? messages : Buffer.concat([messages, Buffer.from(',')])
}
