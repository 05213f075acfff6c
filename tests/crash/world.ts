// The server that keeps dying, and the book of what it has promised.
import { EventEmitter, once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { RawConnection, type RawAnswer } from '../lib/raw.ts'
import { Random } from '../lib/random.ts'
import { Server } from '../lib/server.ts'
import type { Kind, Name } from './message.ts'

export interface AppendRecord extends Name {
  /** The offset after the message, as answered; null while nobody answered. */
  offset: string | null
}

/** A stream that several writers share. */
export interface SharedStream {
  path: string
  kind: Kind
  appends: AppendRecord[]
}

/** How a stream with a short life must end up. */
export interface ShortLife {
  path: string
  end: 'closed' | 'deleted' | 'forked'
  text: string
}

export class World {
  readonly streams: SharedStream[] = []
  readonly lives: ShortLife[] = []
  readonly violations: string[] = []
  answered = 0
  retried = 0
  /** Writers start nothing new, but finish what is unanswered. */
  draining = false
  private readonly changes = new EventEmitter().setMaxListeners(0)
  private up = true

  constructor(
    readonly server: Server,
    readonly seed: number,
  ) {}

  violation(text: string): void {
    if (this.violations.length < 50) this.violations.push(text)
  }

  async killAndRestart(): Promise<void> {
    this.up = false
    await this.server.kill()
    await this.server.restart()
    this.up = true
    this.changes.emit('up')
  }

  async whenUp(): Promise<void> {
    while (!this.up) await once(this.changes, 'up')
  }

  /** A connection to the server, as soon as there is one again. */
  async connection(): Promise<RawConnection> {
    for (;;) {
      await this.whenUp()
      try {
        return await RawConnection.open(this.server.port)
      } catch {
        await sleep(5)
      }
    }
  }
}

/** A connection that is opened again after each crash. */
export class Line {
  private current: RawConnection | null = null

  constructor(private readonly world: World) {}

  /** Sends one request; null if the server died before it answered. */
  async ask(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: Buffer,
  ): Promise<RawAnswer | null> {
    if (this.current === null || !this.current.open) this.current = await this.world.connection()
    try {
      const answer = await this.current.request(method, `/v1/stream/${path}`, headers, body)
      ++this.world.answered
      return answer
    } catch {
      ++this.world.retried
      this.current.close()
      this.current = null
      return null
    }
  }

  /** Asks until there is an answer: for requests that may be repeated. */
  async insist(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: Buffer,
  ): Promise<{ answer: RawAnswer; tries: number }> {
    for (let tries = 1; ; ++tries) {
      const answer = await this.ask(method, path, headers, body)
      if (answer !== null) return { answer, tries }
    }
  }

  close(): void {
    this.current?.close()
  }
}

export function contentType(kind: Kind): string {
  return kind === 'json' ? 'application/json' : 'text/plain'
}

export function pause(random: Random): Promise<void> {
  return sleep(random.int(0, 3))
}
