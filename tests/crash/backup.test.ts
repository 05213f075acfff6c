// A backup taken while several writers append and the server seals all the time: a server on it
// has everything that was answered before it began, and nothing that was never sent.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { kText, post, producer, put, readAll } from '../lib/http.ts'
import { Server, serverBinary } from '../lib/server.ts'

const kWriters = 6
const kLoadMs = 1500
const kRounds = 3

/** The command, while the writers go on. */
async function run(...args: string[]): Promise<void> {
  const child = spawn(serverBinary(), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => (said += text.toString()))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  expect(code, said).toBe(0)
}

function message(writer: number, seq: number): string {
  return `${writer}.${seq};`.padEnd(400, 'x')
}

function prefix(writer: number, messages: number): string {
  return Array.from({ length: messages }, (_, seq) => message(writer, seq)).join('')
}

test('a backup under load restores what was answered', { timeout: 120_000 }, async () => {
  const backup = mkdtempSync(join(tmpdir(), 'ds-backup-'))
  const server = await Server.start({
    args: ['--generation-size', '64KiB', '--seal-after', '100ms'],
  })
  const answered = Array.from({ length: kWriters }, () => 0)
  let writing = true
  const headers = (writer: number, seq: number): Record<string, string> => ({
    ...kText,
    ...producer(`writer-${writer}`, 0, seq),
  })
  try {
    const writers = answered.map(async (_, writer) => {
      const url = server.url(`stream-${writer}`)
      await put(url)
      for (let seq = 0; writing; ++seq) {
        const answer = await post(url, message(writer, seq), headers(writer, seq))
        expect(answer.status).toBe(200)
        answered[writer] = seq + 1
      }
    })
    let before: number[] = []
    for (let round = 0; round < kRounds; ++round) {
      await sleep(kLoadMs / kRounds)
      before = [...answered]
      await run('backup', backup, '--data-dir', server.dataDir)
      await run('check', '--data-dir', backup)
    }
    await run('check', '--data-dir', server.dataDir)
    writing = false
    await Promise.all(writers)

    const restored = await Server.start({ dataDir: backup })
    try {
      for (let writer = 0; writer < kWriters; ++writer) {
        const url = restored.url(`stream-${writer}`)
        const text = (await readAll(url)).bytes.toString()
        const messages = text.length / 400
        expect(messages).toBeGreaterThanOrEqual(before[writer] as number)
        expect(messages).toBeLessThanOrEqual(answered[writer] as number)
        expect(text === prefix(writer, messages), `stream ${writer}`).toBe(true)
        const next = await post(url, message(writer, messages), headers(writer, messages))
        expect(next.status).toBe(200)
      }
    } finally {
      await restored.stop()
    }
  } finally {
    writing = false
    await server.stop()
    rmSync(backup, { recursive: true, force: true })
  }
})
