// As little as a Durable Object can do for a request: answer a constant, or insert one row first.
import { DurableObject } from 'cloudflare:workers'

const kAnswer = new Uint8Array(Number(ANSWER_BYTES)).fill(120)

export class Floor extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env)
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS log (at INTEGER PRIMARY KEY, bytes BLOB)')
  }
  async fetch(request) {
    if (request.method !== 'POST') return new Response(kAnswer)
    const body = await request.arrayBuffer()
    if (this.env.INSERT) this.ctx.storage.sql.exec('INSERT INTO log (bytes) VALUES (?)', body)
    return new Response(null, { status: 204 })
  }
}

export default {
  fetch(request, env) {
    return env.FLOOR.get(env.FLOOR.idFromName(new URL(request.url).pathname)).fetch(request)
  },
}
