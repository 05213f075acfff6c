// Reads a server-sent event response as it comes.
export class EventReader {
  text = ''
  ended = false
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>
  private constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.reader = reader
    void this.pump()
  }

  static async open(url: string): Promise<EventReader> {
    const response = await fetch(url)
    if (response.status !== 200 || response.body === null) throw new Error(`${response.status}`)
    return new EventReader(response.body.getReader())
  }

  private async pump(): Promise<void> {
    const decoder = new TextDecoder()
    try {
      for (;;) {
        const { done, value } = await this.reader.read()
        if (done) break
        this.text += decoder.decode(value, { stream: true })
        this.wake()
      }
    } catch {
      // The connection broke: that ends it too.
    }
    this.ended = true
    this.wake()
  }

  private wake = (): void => {}

  /** Resolves once `enough` holds of what has come; rejects when the response has ended without. */
  async until(enough: (text: string) => boolean): Promise<void> {
    while (!enough(this.text)) {
      if (this.ended) throw new Error(`the response ended after: ${this.text.slice(-200)}`)
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  /** How often `part` has come. */
  count(part: string): number {
    return this.text.split(part).length - 1
  }

  /** Where the last control event says that this reader stands. */
  lastOffset(): string {
    return [...this.text.matchAll(/"streamNextOffset":"([^"]+)"/g)].at(-1)?.[1] ?? ''
  }

  close(): Promise<void> {
    return this.reader.cancel()
  }
}
