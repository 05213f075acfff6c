// What an SSE reader's socket between the edge and a stream's object carries: frames one way, and
// "ready" the other way, when a frame that was asked for has been taken; and pings.

/** Kept with the object's end of the socket; survives hibernation. Below 1 KiB. */
export interface ReaderState {
  id: number
  reader: string
  /** It has been sent everything before this position. */
  at: number
  /** It will say when it is ready for more. */
  pulling: boolean
}

export const kReady = 'ready'

/** Asked by the edge, and answered by the runtime though the object sleeps. */
export const kPing = 'ping'
export const kPong = 'pong'

const kHeadBytes = 17

export interface Frame {
  begin: number
  end: number
  pulled: boolean
  bytes: Uint8Array
}

export function frameMessage(
  begin: number,
  end: number,
  pulled: boolean,
  bytes: Uint8Array,
): ArrayBuffer {
  const message = new ArrayBuffer(kHeadBytes + bytes.length)
  const view = new DataView(message)
  view.setFloat64(0, begin)
  view.setFloat64(8, end)
  view.setUint8(16, pulled ? 1 : 0)
  new Uint8Array(message).set(bytes, kHeadBytes)
  return message
}

export function parseFrame(message: ArrayBuffer): Frame {
  const view = new DataView(message)
  return {
    begin: view.getFloat64(0),
    end: view.getFloat64(8),
    pulled: view.getUint8(16) === 1,
    bytes: new Uint8Array(message, kHeadBytes),
  }
}
