// Upstream's state library, unmodified: a keyed collection materialised from a JSON stream.
import { DurableStream } from '@durable-streams/client'
import { createStateSchema, MaterializedState, type ChangeEvent } from '@durable-streams/state'
import { createStreamDB } from '@durable-streams/state/db'
import { expect, test } from 'vitest'
import { kJson, post } from '../lib/http.ts'
import { freshName, useServer, within } from '../lib/fixture.ts'

const server = useServer({ args: ['--long-poll-timeout', '500ms'] })

interface User {
  id: string
  name: string
}

const userSchema = {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) => ({ value: value as User }),
  },
}

const schema = createStateSchema({
  users: { schema: userSchema, type: 'user', primaryKey: 'id' },
})

function change(
  operation: 'insert' | 'update' | 'delete',
  key: string,
  name?: string,
): ChangeEvent {
  const value = name === undefined ? {} : { value: { id: key, name } }
  return { type: 'user', key, headers: { operation }, ...value } as ChangeEvent
}

async function eventually(what: string, holds: () => boolean): Promise<void> {
  const polling = async (): Promise<void> => {
    while (!holds()) await new Promise((next) => setTimeout(next, 20))
  }
  await within(10_000, what, polling())
}

test('changes that were appended one by one and in batches make up the state', async () => {
  const url = server().url(freshName())
  const handle = await DurableStream.create({ url, contentType: 'application/json' })
  await handle.append(JSON.stringify(change('insert', '1', 'Ada')))
  const batch = [change('insert', '2', 'Bob'), change('update', '1', 'Ada L.')]
  await post(url, JSON.stringify(batch), kJson)
  await handle.append(JSON.stringify(change('delete', '2')))
  const state = new MaterializedState()
  for (const event of await (await handle.stream<ChangeEvent>({ live: false })).json()) {
    state.apply(event)
  }
  expect(state.get<User>('user', '1')).toEqual({ id: '1', name: 'Ada L.' })
  expect(state.get('user', '2')).toBe(undefined)
})

test.each(['sse', 'long-poll'] as const)('a database follows its stream by %s', async (live) => {
  const url = server().url(freshName())
  const handle = await DurableStream.create({ url, contentType: 'application/json' })
  await handle.append(JSON.stringify(change('insert', '1', 'Ada')))
  const db = createStreamDB({
    streamOptions: { url, contentType: 'application/json' },
    state: schema,
    live,
  })
  try {
    await within(10_000, 'the preload', db.preload())
    const { users } = db.collections
    expect(users.get('1')).toMatchObject({ id: '1', name: 'Ada' })
    await handle.append(JSON.stringify(change('insert', '2', 'Bob')))
    await eventually('the insert', () => users.get('2') !== undefined)
    const batch = [change('update', '2', 'Rob'), change('delete', '1')]
    await post(url, JSON.stringify(batch), kJson)
    await eventually('the update', () => users.get('2')?.name === 'Rob' && !users.has('1'))
    expect(users.size).toBe(1)
  } finally {
    db.close()
  }
})
