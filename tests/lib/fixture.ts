// One server for the tests of a file, and a stream of its own for each test.
import { afterAll, beforeAll } from 'vitest'
import { Server, type ServerOptions } from './server.ts'

/** Starts a server before the file's tests and stops it after them. */
export function useServer(options: ServerOptions = {}): () => Server {
  let server: Server | null = null
  beforeAll(async () => {
    server = await Server.start(options)
  })
  afterAll(async () => {
    await server?.stop()
  })
  return () => {
    if (server === null) throw new Error('the server runs during tests only')
    return server
  }
}

let names = 0

/** A stream name that no other test of this file uses. */
export function freshName(): string {
  return `stream-${++names}`
}

/** Fails with `what` if `promise` has not settled after `ms`. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
