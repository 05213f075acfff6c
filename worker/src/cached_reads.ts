// Reads through the edge's cache. What may be kept, and for how long, is what the answer's
// Cache-Control says; a read that reached the tail says no-cache and is never kept.
//
// A look into the cache takes longer than many an answer. URLs whose last answer was not to be kept
// are remembered, and their plain reads go to the object at once: it is always right.
//
// Equal requests that are under way at once share one answer, as bytes: what carries a response
// cannot cross requests. Whoever waits for another's answer asks for itself if that does not come.
import type { Module } from './module.ts'
import type { StreamObject } from './stream_object.ts'

type Stub = DurableObjectStub<StreamObject>

interface Answer {
  status: number
  headers: [string, string][]
  body: ArrayBuffer
}

// How long to wait for what another request has asked for.
const kFollowMs = 35_000
const kSharedRequestsMax = 10_000

const underWay = new Map<string, Promise<Answer>>()

const kUnkeptMax = 4096
const kUnkeptUrlMax = 512

// In the order in which they were answered.
const unkept = new Set<string>()

function remember(key: string, kept: boolean): void {
  unkept.delete(key)
  if (kept || key.length > kUnkeptUrlMax) return
  unkept.add(key)
  if (unkept.size > kUnkeptMax) unkept.delete(unkept.values().next().value!)
}

function isPublic(headers: Headers): boolean {
  return headers.get('cache-control')?.startsWith('public') ?? false
}

// Those wait for what is the same for all of them: they always look.
function isLive(url: string): boolean {
  return new URL(url).searchParams.has('live')
}

function labelled(response: Response, label: 'HIT' | 'MISS' | 'BYPASS'): Response {
  const copy = new Response(response.body, response)
  copy.headers.set('X-Cache', label)
  return copy
}

function made(answer: Answer, label: 'HIT' | 'MISS' | 'BYPASS'): Response {
  const empty = answer.status === 204 || answer.status === 304
  const response = new Response(empty ? null : answer.body, {
    status: answer.status,
    headers: answer.headers,
  })
  response.headers.set('X-Cache', label)
  return response
}

/** An answer that was kept, or 304 if the client has it. */
function fromCache(request: Request, kept: Response, module: Module): Response {
  const tag = kept.headers.get('etag')
  const known = request.headers.get('if-none-match')
  if (tag !== null && known !== null && !isLive(request.url)) {
    const tagSize = new TextEncoder().encode(tag).length
    module.giveText(tag + known)
    if (module.core.etag_matches(tagSize) === 1) {
      const headers = new Headers(kept.headers)
      headers.delete('content-type')
      headers.delete('content-length')
      headers.set('X-Cache', 'HIT')
      return new Response(null, { status: 304, headers })
    }
  }
  return labelled(kept, 'HIT')
}

async function ask(request: Request, stub: Stub): Promise<Answer> {
  const response = await stub.fetch(request)
  return {
    status: response.status,
    headers: [...response.headers],
    body: await response.arrayBuffer(),
  }
}

function waitFor(answer: Promise<Answer>): Promise<Answer | null> {
  let timer: ReturnType<typeof setTimeout>
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), kFollowMs)
  })
  const settled = answer.catch(() => null)
  return Promise.race([settled, late]).finally(() => clearTimeout(timer))
}

async function lead(
  key: string,
  request: Request,
  stub: Stub,
  ctx: ExecutionContext,
): Promise<Response> {
  const answer = ask(request, stub)
  underWay.set(key, answer)
  const over = answer
    .then(async (got) => {
      const response = made(got, 'MISS')
      if (isPublic(response.headers)) await caches.default.put(key, response)
    })
    .catch(() => undefined)
    .finally(() => underWay.delete(key))
  // Others wait for it, even if this client leaves.
  ctx.waitUntil(over)
  const got = await answer
  const kept = isPublic(new Headers(got.headers))
  if (got.status === 200) remember(key, kept || isLive(key))
  return made(got, kept ? 'MISS' : 'BYPASS')
}

/** A stream that has been deleted is not read from here any more, where its URLs can be told. */
export async function forgetReads(url: string): Promise<void> {
  const plain = new URL(url)
  plain.search = ''
  const starts = ['', '?offset=-1', '?offset=0000000000000000_0000000000000000']
  await Promise.all(starts.map((start) => caches.default.delete(plain.href + start)))
}

async function askAgain(
  key: string,
  request: Request,
  stub: Stub,
  ctx: ExecutionContext,
): Promise<Response> {
  const response = await stub.fetch(request)
  if (response.status !== 200) return labelled(response, 'BYPASS')
  const keep = isPublic(response.headers)
  remember(key, keep || isLive(key))
  if (!keep) return labelled(response, 'BYPASS')
  const answer = labelled(response, 'MISS')
  ctx.waitUntil(caches.default.put(key, answer.clone()))
  return answer
}

export async function cachedRead(
  request: Request,
  stub: Stub,
  ctx: ExecutionContext,
  module: Module,
  shared: boolean,
): Promise<Response> {
  const key = request.url
  if (unkept.has(key)) return askAgain(key, request, stub, ctx)
  const kept = await caches.default.match(key)
  if (kept !== undefined) return fromCache(request, kept, module)
  // A revalidation may be answered 304, which is nobody else's answer.
  if (shared && !request.headers.has('if-none-match')) {
    const other = underWay.get(key)
    if (other !== undefined) {
      const answer = await waitFor(other)
      // What reached the tail may be older than this request.
      if (answer !== null && (isLive(key) || isPublic(new Headers(answer.headers)))) {
        return made(answer, 'HIT')
      }
    } else if (underWay.size < kSharedRequestsMax) {
      return lead(key, request, stub, ctx)
    }
  }
  return askAgain(key, request, stub, ctx)
}
