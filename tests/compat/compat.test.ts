// Data directories that earlier builds have written: each later one opens them, shows what they
// showed, and goes on from there. compat/make.test.ts made them.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Server } from '../lib/server.ts'
import { goOn, kArgs, kSealing, show, type Shown } from './world.ts'

const kHere = import.meta.dirname
const kKept = readdirSync(kHere)
  .filter((name) => name.endsWith('.tar.gz'))
  .map((name) => name.slice(0, -'.tar.gz'.length))

test('there is at least one', () => expect(kKept.length).toBeGreaterThan(0))

test.each(kKept)('a data directory of %s', async (name) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'ds-compat-'))
  try {
    const archive = join(kHere, `${name}.tar.gz`)
    expect(spawnSync('tar', ['-xzf', archive, '-C', dataDir]).status).toBe(0)
    // There is something of everything to open.
    const segments = readdirSync(join(dataDir, 'segments'))
    const logs = readdirSync(join(dataDir, 'log')).filter((file) => file.endsWith('.log'))
    expect(Math.min(segments.length, logs.length)).toBeGreaterThan(0)
    const kept = readFileSync(join(kHere, `${name}.json`), 'utf8')
    const wanted = JSON.parse(kept) as Record<string, Shown>

    const server = await Server.start({ dataDir, args: [...kArgs, ...kSealing] })
    try {
      expect(await show(server)).toEqual(wanted)
      await goOn(server)
      // What this build has made of it is read again.
      const now = await show(server)
      expect(now['text']?.text).toBe(`${wanted['text']?.text}!`)
      await server.kill()
      await server.restart()
      expect(await show(server)).toEqual(now)
    } finally {
      await server.kill()
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
})
