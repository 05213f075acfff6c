// Clients that take all they can get of one thing: the others go on.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { kText } from '../lib/http.ts'
import { RawConnection } from '../lib/raw.ts'
import { Server } from '../lib/server.ts'

const kPath = '/v1/stream/a'

/** A connection that does nothing; resolves once the server has taken or refused it. */
async function idle(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

test('more connections than open files leave the log enough to go on', async () => {
  const kOpenFiles = 120
  const server = await Server.start({
    threads: 1,
    openFiles: kOpenFiles,
    args: ['--generation-size', '1MiB'],
  })
  const sockets: Socket[] = []
  try {
    const writer = await RawConnection.open(server.port)
    expect((await writer.request('PUT', kPath, kText)).status).toBe(201)
    for (let i = 0; i < kOpenFiles + 20; ++i) sockets.push(await idle(server.port))
    // Through several generations, each a new file.
    const body = 'x'.repeat(64 << 10)
    for (let i = 0; i < 64; ++i) {
      expect((await writer.request('POST', kPath, kText, body)).status).toBe(204)
    }
    writer.close()
    expect(server.stderr).not.toContain('the op log is broken')
    expect(server.stderr).toContain(`open_files=${kOpenFiles}`)
  } finally {
    for (const socket of sockets) socket.destroy()
    await server.stop()
  }
})
