// The worker with counters: what is billed, counted where it happens. Edge and objects share an
// isolate here, so one set of counters serves both; it outlives evictions of objects.
//
// /counters tells them, /abort?NAME ends the object of that stream as a failure of it would.
import worker, { StreamObject as Plain } from './worker.mjs'

const counters = {
  workerRequests: 0,
  objectRequests: 0,
  objectCalls: 0,
  socketMessages: 0,
  socketCloses: 0,
  alarms: 0,
  alarmsSet: 0,
  wakes: 0,
  rowsWritten: 0,
  rowsRead: 0,
  rowBytesMax: 0,
  objectsPut: 0,
  objectsGot: 0,
  objectBytesGot: 0,
  objects: 0,
  wasmBytes: 0,
}

// The objects that there are; collected ones are gone.
let objects = []

function collect() {
  const living = objects.map((one) => one.deref()).filter((one) => one !== undefined)
  objects = living.map((one) => new WeakRef(one))
  counters.objects = living.length
  counters.wasmBytes = 0
  for (const one of living) counters.wasmBytes += one.module.core.memory.buffer.byteLength
}

// A bucket whose calls are counted.
function countedBucket(bucket) {
  return {
    put: (...given) => {
      counters.objectsPut++
      return bucket.put(...given)
    },
    get: (key, options) => {
      counters.objectsGot++
      counters.objectBytesGot += options.range.length
      return bucket.get(key, options)
    },
    delete: (key) => bucket.delete(key),
  }
}

export class StreamObject extends Plain {
  constructor(ctx, env) {
    counters.wakes++
    const cursors = []
    const { storage } = ctx
    const { sql } = storage
    const exec = sql.exec.bind(sql)
    sql.exec = (...given) => {
      const cursor = exec(...given)
      if (!given[0].includes('CREATE TABLE')) cursors.push(cursor)
      for (const value of given) {
        if (value instanceof ArrayBuffer) {
          counters.rowBytesMax = Math.max(counters.rowBytesMax, value.byteLength)
        }
      }
      return cursor
    }
    const setAlarm = storage.setAlarm.bind(storage)
    storage.setAlarm = (...given) => {
      counters.alarmsSet++
      return setAlarm(...given)
    }
    super(ctx, env.SEGMENTS ? { ...env, SEGMENTS: countedBucket(env.SEGMENTS) } : env)
    this.cursors = cursors
    this.collect()
    objects.push(new WeakRef(this))
  }
  // The counts of a cursor grow while it is read, and can be read by its own object alone.
  collect() {
    for (const cursor of this.cursors.splice(0)) {
      counters.rowsWritten += cursor.rowsWritten
      counters.rowsRead += cursor.rowsRead
    }
  }
  abort() {
    this.guard(() => {
      throw new Error('asked for')
    })
  }
  async fetch(request) {
    counters.objectRequests++
    const answer = await super.fetch(request)
    this.collect()
    return answer
  }
  async call(...given) {
    counters.objectCalls++
    const answer = await super.call(...given)
    this.collect()
    return answer
  }
  alarm() {
    counters.alarms++
    super.alarm()
    this.collect()
  }
  webSocketMessage(...given) {
    counters.socketMessages++
    return super.webSocketMessage(...given)
  }
  webSocketClose(...given) {
    counters.socketCloses++
    return super.webSocketClose(...given)
  }
}

export default {
  async fetch(request, env, ctx) {
    const { pathname, search } = new URL(request.url)
    if (pathname === '/counters') {
      collect()
      return Response.json(counters)
    }
    if (pathname === '/abort') {
      const object = env.STREAMS.get(env.STREAMS.idFromName(search.slice(1)))
      await object.abort().catch(() => {})
      return new Response(null, { status: 204 })
    }
    counters.workerRequests++
    return worker.fetch(request, env, ctx)
  },
}
