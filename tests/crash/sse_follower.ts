// An SSE reader that follows a stream through every crash. What its events showed, even those of a
// response that broke off, must be there at the end, at the place where it was shown.
import { SseReader } from '../lib/http.ts'
import { bodyStored } from './stored.ts'
import type { SharedStream, World } from './world.ts'

export class SseFollower {
  // Up to the last offset that it was told, and what it was shown after one before it broke off.
  private readonly parts: Buffer[] = []
  private readonly cutOff: { at: number; bytes: Buffer }[] = []
  private length = 0
  private offset = '-1'
  private closed = false
  responses = 0

  constructor(
    private readonly world: World,
    private readonly stream: SharedStream,
  ) {}

  /** Ends once the stream is closed and all of it has been seen. */
  async follow(): Promise<void> {
    while (!this.closed) {
      await this.world.whenUp()
      const shown: Buffer[] = []
      try {
        await this.readOneResponse(shown)
      } catch {
        // The server died.
      }
      if (shown.length > 0) this.cutOff.push({ at: this.length, bytes: Buffer.concat(shown) })
    }
  }

  private async readOneResponse(shown: Buffer[]): Promise<void> {
    const url = this.world.server.url(this.stream.path)
    const reader = await SseReader.open(`${url}?live=sse&offset=${this.offset}`)
    try {
      if (reader.status !== 200) {
        this.world.violation(`${this.stream.path}: SSE answered ${reader.status}`)
        return
      }
      ++this.responses
      for (;;) {
        const event = await reader.next()
        if (event === null) return
        if (event.type === 'data') {
          shown.push(bodyStored(Buffer.from(event.data), this.stream.kind))
          continue
        }
        const control = JSON.parse(event.data) as {
          streamNextOffset: string
          streamClosed?: boolean
        }
        for (const bytes of shown) this.length += bytes.length
        this.parts.push(...shown.splice(0))
        this.offset = control.streamNextOffset
        if (Number(this.offset.split('_')[1]) !== this.length) {
          this.world.violation(
            `${this.stream.path}: SSE showed ${this.length} bytes and says ${this.offset}`,
          )
        }
        if (control.streamClosed === true) {
          this.closed = true
          return
        }
      }
    } finally {
      reader.close()
    }
  }

  /** REQUIRES: follow() has ended. */
  verify(stored: Buffer): void {
    if (!stored.equals(Buffer.concat(this.parts))) {
      this.world.violation(`${this.stream.path}: an SSE reader saw something else than is there`)
    }
    for (const { at, bytes } of this.cutOff) {
      if (!stored.subarray(at, at + bytes.length).equals(bytes)) {
        this.world.violation(`${this.stream.path}: an SSE reader saw bytes that have changed`)
      }
    }
  }
}
