// The worker in front of the objects: answers what needs no stream, finds the object of a stream,
// and carries answers.
import { cachedRead, forgetReads } from './cached_reads.ts'
import { Module, headerLines, requestText, withoutBody } from './module.ts'
import { applySettings, type Env } from './settings.ts'
import { followStream } from './sse_bridge.ts'

interface Decision {
  answer?: Response
  name?: string
  read: boolean
  shared: boolean
  sse: boolean
}

/** The core for the edge: without state, one for all requests of an isolate. */
class Edge {
  readonly module: Module
  private readonly commonHeaders: [string, string][]
  private requests = 0
  private decided: Decision = { read: false, shared: false, sse: false }

  constructor(env: Env) {
    this.module = new Module({
      edge_answer: (status, head, headSize, body, bodySize) => {
        const headers = new Headers(this.commonHeaders)
        for (const [name, value] of headerLines(this.module.text(head!, headSize!))) {
          headers.set(name, value)
        }
        const bytes =
          bodySize === 0 && withoutBody(status!) ? null : this.module.copy(body!, bodySize!)
        const answer = new Response(bytes, { status: status!, headers })
        this.decided = { answer, read: false, shared: false, sse: false }
      },
      edge_stream: (name, nameSize, read, shared, sse) => {
        this.decided = {
          name: this.module.text(name!, nameSize!),
          read: read === 1,
          shared: shared === 1,
          sse: sse === 1,
        }
      },
    })
    this.commonHeaders = this.module.commonHeaders()
    applySettings(this.module.core, env)
  }

  decide(request: Request): Decision {
    this.module.giveText(requestText(request))
    this.module.core.edge_request(++this.requests)
    return this.decided
  }
}

let edge: Edge | undefined

// What only the edge itself may say to an object.
const kInternalHeaders = ['ds-reader', 'ds-reader-at']

function asSent(request: Request): Request {
  if (!kInternalHeaders.some((name) => request.headers.has(name))) return request
  const headers = new Headers(request.headers)
  for (const name of kInternalHeaders) headers.delete(name)
  return new Request(request, { headers })
}

export async function handle(sent: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
  edge ??= new Edge(env)
  const request = asSent(sent)
  const { answer, name, read, shared, sse } = edge.decide(request)
  if (answer !== undefined) return answer
  const id = env.STREAMS.idFromName(name!)
  if (sse) return followStream(request, () => env.STREAMS.get(id), env, edge.module)
  const stub = env.STREAMS.get(id)
  if (read) return cachedRead(request, stub, ctx, edge.module, shared)
  if (request.method !== 'DELETE') return stub.fetch(request)
  const deleted = await stub.fetch(request)
  await forgetReads(request.url)
  return deleted
}
