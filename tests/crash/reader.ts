// A long-poll reader that follows a stream through every crash. What it was shown once must still
// be there at the end: a reader never sees what a crash then takes back.
import { bodyStored } from './stored.ts'
import { Line, type SharedStream, type World } from './world.ts'

export class Follower {
  private readonly parts: Buffer[] = []
  private offset = '-1'

  constructor(
    private readonly world: World,
    private readonly stream: SharedStream,
  ) {}

  async follow(): Promise<void> {
    const line = new Line(this.world)
    while (!this.world.draining) {
      const query = `?live=long-poll&offset=${this.offset}`
      const answer = await line.ask('GET', `${this.stream.path}${query}`)
      if (answer === null) continue
      if (answer.status !== 200 && answer.status !== 204) {
        this.world.violation(`${this.stream.path}: long-poll answered ${answer.status}`)
        break
      }
      this.offset = answer.headers.get('stream-next-offset') ?? this.offset
      if (answer.status === 200) this.parts.push(bodyStored(answer.body, this.stream.kind))
    }
    line.close()
  }

  /** REQUIRES: follow() has ended. */
  verify(stored: Buffer): void {
    const seen = Buffer.concat(this.parts)
    if (!stored.subarray(0, seen.length).equals(seen)) {
      this.world.violation(`${this.stream.path}: a reader saw bytes that are no longer there`)
    }
  }
}
