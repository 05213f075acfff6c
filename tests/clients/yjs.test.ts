// Upstream's Yjs provider and its server, unmodified, with our server as their storage: documents
// that are edited at the same time end up equal, also after snapshots, restarts and crashes.
import { YjsProvider } from '@durable-streams/y-durable-streams'
import { YjsServer } from '@durable-streams/y-durable-streams/server'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { freshName, useServer, within } from '../lib/fixture.ts'

const server = useServer()
let yjs: YjsServer
const providers: YjsProvider[] = []

beforeAll(async () => {
  yjs = new YjsServer({ port: 0, dsServerUrl: server().origin, compactionThreshold: 1500 })
  await yjs.start()
})
afterEach(() => {
  for (const provider of providers.splice(0)) provider.destroy()
})
afterAll(() => yjs.stop())

async function open(docId: string, awareness?: Awareness, doc?: Y.Doc): Promise<Y.Doc> {
  const opened = awareness?.doc ?? doc ?? new Y.Doc()
  const provider = new YjsProvider({
    doc: opened,
    baseUrl: `${yjs.url}/v1/yjs/test`,
    docId,
    ...(awareness === undefined ? {} : { awareness }),
  })
  providers.push(provider)
  await eventually('the first sync', () => provider.synced)
  return opened
}

async function eventually(what: string, holds: () => boolean): Promise<void> {
  const polling = async (): Promise<void> => {
    while (!holds()) await new Promise((next) => setTimeout(next, 20))
  }
  await within(20_000, what, polling())
}

function text(doc: Y.Doc): Y.Text {
  return doc.getText('content')
}

test('documents edited at the same time converge', async () => {
  const id = freshName()
  const [a, b] = [await open(id), await open(id)]
  for (let i = 0; i < 20; ++i) {
    text(a).insert(0, `a${i} `)
    text(b).insert(text(b).length, `b${i} `)
    await new Promise((next) => setTimeout(next, 10))
  }
  const length = [...Array(20).keys()].join('').length * 2 + 20 * 4
  await eventually('equal texts', () => {
    return text(a).length === length && text(a).toString() === text(b).toString()
  })
  expect((await open(id)).getText('content').toString()).toBe(text(a).toString())
})

test('documents outlive compaction into snapshots', async () => {
  const id = freshName()
  const doc = await open(id)
  for (let i = 0; i < 60; ++i) {
    text(doc).insert(text(doc).length, `${i}:${'x'.repeat(100)};`)
    await new Promise((next) => setTimeout(next, 10))
  }
  const wanted = text(doc).toString()
  const late = await open(id)
  await eventually('the text', () => text(late).toString() === wanted)
})

test('a client that was away catches up from where it was', async () => {
  const id = freshName()
  const doc = await open(id)
  text(doc).insert(0, 'before ')
  const other = await open(id)
  await eventually('the first edit', () => text(other).toString() === 'before ')
  const away = providers[1] as YjsProvider
  away.disconnect()
  text(doc).insert(text(doc).length, 'while away ')
  await away.connect()
  await eventually('the second edit', () => text(other).toString() === 'before while away ')
})

test('presence travels', async () => {
  const id = freshName()
  const [a, b] = [new Awareness(new Y.Doc()), new Awareness(new Y.Doc())]
  await open(id, a)
  await open(id, b)
  await eventually('presence', () => {
    a.setLocalStateField('name', 'Ada')
    return b.getStates().get(a.clientID)?.name === 'Ada'
  })
})

test('a document survives kill -9 of its storage', async () => {
  const id = freshName()
  const doc = await open(id)
  text(doc).insert(0, 'kept')
  const other = await open(id)
  await eventually('the edit', () => text(other).toString() === 'kept')
  for (const provider of providers.splice(0)) provider.destroy()
  await server().kill()
  await server().restart()
  const late = await open(id)
  await eventually('the text', () => text(late).toString() === 'kept')
})
