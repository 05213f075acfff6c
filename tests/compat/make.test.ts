// Writes the data directory of this release, by hand, when a format has changed or a version is
// released; what it makes is kept for ever:
//
//   cd tests && DS_COMPAT_MAKE=0.1.0 npx vitest run compat/make
//
// makes compat/0.1.0.tar.gz and compat/0.1.0.json: the directory, and what a server showed of it.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { get } from '../lib/http.ts'
import { Server } from '../lib/server.ts'
import { kArgs, kSealing, show, writeSealed, writeUnsealed } from './world.ts'

const kName = process.env.DS_COMPAT_MAKE

async function metric(server: Server, name: string): Promise<number> {
  const text = (await get(`${server.origin}/metrics`)).text
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

/** Until all is sealed, merged, trimmed and forgotten, for two seconds. */
async function idle(server: Server): Promise<void> {
  for (let quiet = 0, seen = ''; quiet < 20; await sleep(100)) {
    const sealed = await metric(server, 'ds_sealed_generations_total')
    const merged = await metric(server, 'ds_segment_merges_total')
    const now = `${sealed} ${merged} ${await metric(server, 'ds_streams_in_memory')}`
    quiet = now === seen && now.endsWith(' 0') ? quiet + 1 : 0
    seen = now
  }
}

test.runIf(kName !== undefined)('makes a data directory to keep', async () => {
  const archive = join(import.meta.dirname, `${kName}.tar.gz`)
  expect(existsSync(archive), `${archive} is there, and is kept as it is`).toBe(false)
  const dataDir = mkdtempSync(join(tmpdir(), 'ds-compat-'))
  const first = await Server.start({ dataDir, args: [...kArgs, ...kSealing] })
  await writeSealed(first)
  await idle(first)
  await first.terminate()
  // The rest stays in the log. Killed, so that what a crash leaves is part of it.
  const second = await Server.start({ dataDir, args: [...kArgs, '--seal-after', '1h'] })
  await writeUnsealed(second)
  const shown = await show(second)
  await second.kill()
  writeFileSync(join(import.meta.dirname, `${kName}.json`), `${JSON.stringify(shown, null, 1)}\n`)
  const files = readdirSync(dataDir).filter((file) => file !== 'LOCK' && !file.endsWith('-shm'))
  const plain = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']
  const packing = [...plain, '-czf', archive, '-C', dataDir, ...files]
  expect(spawnSync('tar', packing, { stdio: 'inherit' }).status).toBe(0)
  rmSync(dataDir, { recursive: true })
})
