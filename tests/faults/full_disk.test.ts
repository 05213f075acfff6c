// A disk that is full: what needs room is refused with 507, what gives room back goes on, and when
// there is room again so does everything. Nothing that was answered is lost on the way.
import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  close,
  del,
  errorCode,
  get,
  head,
  kText,
  nextOffset,
  post,
  producer,
  put,
  readAll,
  type Answer,
} from '../lib/http.ts'
import { Server } from '../lib/server.ts'
import { canMount, SmallDisk } from './disk.ts'

const kBallast = 8 << 20
const kArgs = ['--generation-size', '1MiB', '--seal-after', '200ms', '--evict-after', '0s']
const kBallastArgs = [...kArgs, '--ballast', '8MiB']
const kBodyBytes = 60 << 10
const kFullForGood = 3

/** After a restart there may be just enough for the ballast and a generation. */
function expectFullOrTaken(answer: Answer): void {
  if (answer.status !== 204) expectFull(answer)
}

function expectFull(answer: Answer): void {
  expect(answer.status, answer.text).toBe(507)
  expect(errorCode(answer)).toBe('storage_full')
  expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
}

async function metric(server: Server, name: string): Promise<number> {
  const text = (await get(`${server.origin}/metrics`)).text
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

/** Calls `what` until it is true; fails after half a minute. */
async function until(what: () => Promise<boolean> | boolean, text: string): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(50)) {
    if (await what()) return
  }
  throw new Error(`never: ${text}`)
}

/** What the streams must hold: what was answered, in order. */
class Book {
  readonly streams = new Map<string, Buffer[]>()

  constructor(private readonly server: Server) {}

  async create(name: string, headers: Record<string, string> = kText): Promise<Answer> {
    const answer = await put(this.server.url(name), headers)
    if (answer.status === 201) this.streams.set(name, [])
    return answer
  }

  async append(name: string): Promise<Answer> {
    const body = randomBytes(kBodyBytes)
    const answer = await post(this.server.url(name), new Uint8Array(body))
    if (answer.status === 204) this.streams.get(name)?.push(body)
    return answer
  }

  async verify(): Promise<void> {
    for (const [name, bodies] of this.streams) {
      const whole = await readAll(this.server.url(name))
      expect(whole.bytes.equals(Buffer.concat(bodies)), `${name} holds what was answered`).toBe(true)
    }
  }
}

/** Appends to the streams in turn until nothing more is taken, for good. */
async function fill(book: Book, names: string[]): Promise<void> {
  for (let refused = 0, i = 0; refused < kFullForGood; ) {
    const answer = await book.append(names[i++ % names.length] as string)
    if (answer.status === 204) {
      refused = 0
      continue
    }
    expectFull(answer)
    // Sealing packs what can be packed.
    await sleep(700)
    ++refused
  }
}

test.skipIf(!canMount())(
  'a disk that streams have filled: deletes, closes and expiry go on and give room back',
  { timeout: 120_000 },
  async () => {
    const disk = SmallDisk.mount(40)
    if (disk === null) throw new Error('no disk')
    const dataDir = join(disk.path, 'data')
    const server = await Server.start({ dataDir, args: kBallastArgs })
    try {
      const book = new Book(server)
      const names = ['a', 'b', 'c', 'd']
      for (const name of [...names, 'small', 'once']) {
        expect((await book.create(name)).status).toBe(201)
      }
      expect((await book.append('small')).status).toBe(204)
      const first = await post(server.url('once'), 'x', { ...kText, ...producer('p', 0, 0) })
      expect(first.status).toBe(200)
      book.streams.set('once', [Buffer.from('x')])
      expect((await put(server.url('mortal'), { ...kText, 'Stream-TTL': '1' })).status).toBe(201)
      expect(statSync(join(dataDir, 'ballast')).size).toBe(kBallast)
      await fill(book, names)

      expect(existsSync(join(dataDir, 'ballast'))).toBe(false)
      expect(await metric(server, 'ds_disk_full')).toBe(1)
      expect(await metric(server, 'ds_ballast_bytes')).toBe(0)
      expectFull(await put(server.url('another')))
      // What stores nothing is answered as ever, a producer's repetition with its own offset.
      expect((await put(server.url('small'), kText)).status).toBe(200)
      const again = await post(server.url('once'), 'x', { ...kText, ...producer('p', 0, 0) })
      expect([again.status, nextOffset(again)]).toEqual([204, nextOffset(first)])
      expect((await get(`${server.origin}/ready`)).status).toBe(200)
      await book.verify()

      expect((await close(server.url('small'))).status).toBe(204)
      await until(async () => (await head(server.url('mortal'))).status === 404, 'expiry')
      expect((await del(server.url('once'))).status).toBe(204)
      book.streams.delete('once')
      await server.kill()
      await server.restart()
      await book.verify()
      expect((await get(server.url('small'))).headers.has('stream-closed')).toBe(true)
      expect((await get(server.url('once'))).status).toBe(404)
      expect((await get(server.url('mortal'))).status).toBe(404)
      expectFullOrTaken(await book.append('a'))

      // Half of it goes, and it comes back by itself.
      for (const name of ['a', 'b']) {
        expect((await del(server.url(name))).status).toBe(204)
        book.streams.delete(name)
      }
      await until(async () => (await book.append('c')).status === 204, 'an append is taken again')
      expect((await book.create('another')).status).toBe(201)
      expect(statSync(join(dataDir, 'ballast')).size).toBe(kBallast)
      expect(await metric(server, 'ds_disk_full')).toBe(0)
      await fill(book, ['c', 'another'])
      await server.kill()
      await server.restart()
      await book.verify()
      expect(server.stderr).not.toContain('the op log is broken')
    } finally {
      await server.kill()
      disk.unmount()
    }
  },
)

test.skipIf(!canMount())(
  'a disk that somebody else has filled: all goes on when that is gone',
  { timeout: 60_000 },
  async () => {
    const disk = SmallDisk.mount(40)
    if (disk === null) throw new Error('no disk')
    const server = await Server.start({ dataDir: join(disk.path, 'data'), args: kBallastArgs })
    try {
      const book = new Book(server)
      for (const name of ['a', 'b', 'c']) expect((await book.create(name)).status).toBe(201)
      for (let i = 0; i < 20; ++i) expect((await book.append('a')).status).toBe(204)
      disk.hog()
      await fill(book, ['a'])
      // What the ballast left is taken too: now a start has next to nothing.
      expect((await close(server.url('b'))).status).toBe(204)
      await book.verify()
      await server.kill()
      await server.restart()
      expectFullOrTaken(await book.append('a'))
      expect((await del(server.url('c'))).status).toBe(204)
      book.streams.delete('c')
      await book.verify()
      disk.freeHog()
      await until(async () => (await book.append('a')).status === 204, 'an append is taken again')
      await server.kill()
      await server.restart()
      await book.verify()
      expect((await get(server.url('b'))).headers.has('stream-closed')).toBe(true)
      expect((await get(server.url('c'))).status).toBe(404)
    } finally {
      await server.kill()
      disk.unmount()
    }
  },
)

test.skipIf(!canMount())('a start without room gives the ballast up first', async () => {
  const disk = SmallDisk.mount(40)
  if (disk === null) throw new Error('no disk')
  const dataDir = join(disk.path, 'data')
  const server = await Server.start({ dataDir, args: kBallastArgs })
  try {
    const book = new Book(server)
    expect((await book.create('a')).status).toBe(201)
    expect((await book.append('a')).status).toBe(204)
    await server.kill()
    disk.hog()
    expect(disk.freeBytes()).toBe(0)
    await server.restart()
    expect(existsSync(join(dataDir, 'ballast'))).toBe(false)
    expectFull(await book.append('a'))
    await book.verify()
    expect((await del(server.url('a'))).status).toBe(204)
    disk.freeHog()
    await until(async () => (await book.create('a')).status === 201, 'a creation is taken again')
  } finally {
    await server.kill()
    disk.unmount()
  }
})

test.skipIf(!canMount())('without a ballast a full disk refuses what does not fit', async () => {
  const disk = SmallDisk.mount(16)
  if (disk === null) throw new Error('no disk')
  const dataDir = join(disk.path, 'data')
  const server = await Server.start({ dataDir, args: [...kArgs, '--ballast', '0'] })
  try {
    const book = new Book(server)
    expect((await book.create('a')).status).toBe(201)
    await fill(book, ['a'])
    expect(existsSync(join(dataDir, 'ballast'))).toBe(false)
    expect(await metric(server, 'ds_disk_full')).toBe(0)
    await server.kill()
    await server.restart()
    await book.verify()
  } finally {
    await server.kill()
    disk.unmount()
  }
})
