// `durable-streams backup` of a stopped server, killed at calls that change the backup: run again it
// is whole, and at no time does a server serve a part of one. On the data's own file system, where
// segments are linked, and on another one, where they are copied.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Server, serverBinary } from '../lib/server.ts'
import { Backlog, kSealingArgs } from './backlog.ts'
import { check } from './observe.ts'
import { forEach, pointsUpTo } from './points.ts'
import { kDeeds, Shim } from './shim.ts'

const kLanes = 3
const kQuietMs = 700
const kOtherFileSystem = '/dev/shm'

let backlog: Backlog
let sealed: string
beforeAll(async () => {
  backlog = await Backlog.make()
  sealed = backlog.copy()
  const shim = new Shim(sealed)
  const server = await Server.start({ dataDir: sealed, args: kSealingArgs, env: shim.env })
  await shim.quiet(kQuietMs)
  await server.stop()
  shim.close()
}, 120_000)
afterAll(() => {
  backlog?.remove()
  if (sealed) rmSync(sealed, { recursive: true })
})

interface Ended {
  code: number | null
  said: string
}

async function backup(from: string, to: string, env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(serverBinary(), ['backup', to, '--data-dir', from], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  })
  let said = ''
  child.stderr.on('data', (text: Buffer) => (said += text.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, said }
}

/** Serves what is in `dataDir`, which must be all there is, or is refused as unfinished. */
async function servesAllOrRefuses(dataDir: string): Promise<'all' | 'refused'> {
  const server = await Server.prepare({ dataDir })
  try {
    server.launch()
    const ready = await server.ready().then(
      () => true,
      () => false,
    )
    if (!ready) {
      await server.ended()
      expect(server.stderr).toMatch(/backup/)
      return 'refused'
    }
    await backlog.verify(server)
    return 'all'
  } finally {
    await server.kill()
  }
}

const kPlaces = [
  { where: 'on the same file system', parent: tmpdir(), there: true },
  {
    where: 'on another file system',
    parent: kOtherFileSystem,
    there: statSync(kOtherFileSystem, { throwIfNoEntry: false })?.isDirectory() === true &&
      statSync(kOtherFileSystem).dev !== statSync(tmpdir()).dev,
  },
]

describe.each(kPlaces.filter((place) => place.there))('$where', ({ parent }) => {
  test('killed at any call, it is run again and is whole', { timeout: 3_600_000 }, async () => {
    const counted = mkdtempSync(join(parent, 'ds-backup-'))
    const counter = new Shim(counted)
    counter.set({ deed: kDeeds.nothing })
    expect(await backup(sealed, counted, counter.env)).toMatchObject({ code: 0 })
    const last = counter.calls()
    counter.close()
    rmSync(counted, { recursive: true })
    expect(last).toBeGreaterThan(5)

    const problems = await forEach(pointsUpTo(last, 12), kLanes, async (point) => {
      const to = mkdtempSync(join(parent, 'ds-backup-'))
      const shim = new Shim(to)
      try {
        // Every other time over an earlier backup, of which most is gone by now.
        if (point % 2 === 0) {
          const earlier = await backup(backlog.dataDir, to)
          if (earlier.code !== 0) return `the earlier one: ${earlier.said}`
        }
        shim.set({ deed: point % 4 < 2 ? kDeeds.kill : kDeeds.killHalf, from: point })
        const killed = await backup(sealed, to, shim.env)
        if (killed.code !== 0 && killed.code !== null) return `ended itself: ${killed.said}`
        shim.heal()
        const again = await backup(sealed, to)
        if (again.code !== 0) return `not again: ${again.said}`
        const checked = await check(to)
        if (checked !== '') return checked
        const served = await servesAllOrRefuses(to)
        return served === 'all' ? '' : 'a finished backup is refused'
      } finally {
        shim.close()
        rmSync(to, { recursive: true, force: true })
      }
    })
    expect(problems).toEqual([])
  })

  test('one that was cut short is refused, or is the whole earlier one', { timeout: 600_000 }, async () => {
    const seen = { all: 0, refused: 0 }
    for (const point of [2, 5, 9, 14, 20]) {
      const to = mkdtempSync(join(parent, 'ds-backup-'))
      const shim = new Shim(to)
      try {
        expect(await backup(backlog.dataDir, to)).toMatchObject({ code: 0 })
        shim.set({ deed: kDeeds.kill, from: point })
        await backup(sealed, to, shim.env)
        seen[await servesAllOrRefuses(to)] += 1
      } finally {
        shim.close()
        rmSync(to, { recursive: true, force: true })
      }
    }
    expect(seen.all + seen.refused).toBe(5)
    expect(seen.all, 'what was there stays until the new one is').toBeGreaterThan(0)
  })
})
