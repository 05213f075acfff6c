// Options that were meant to be given and are empty, as in scripts whose variables are not set:
// none of them may open the server, or start one that nobody can reach.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { freePort, Server, serverBinary } from '../lib/server.ts'

const directory = mkdtempSync(join(tmpdir(), 'ds-options-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Exit code and standard error of a start that must fail. */
function refusal(args: string[], env: Record<string, string> = {}) {
  const { status, stderr } = spawnSync(serverBinary(), ['serve', ...args], {
    cwd: directory,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 10_000,
  })
  return { status, stderr }
}

describe('a server that anybody could reach is not started', () => {
  const everywhere = async () => ['--listen', `0.0.0.0:${await freePort()}`]

  test('by an empty variable', async () => {
    const { status, stderr } = refusal(await everywhere(), { DS_ALLOW_UNAUTHENTICATED: '' })
    expect(status).toBe(2)
    expect(stderr).toContain('refusing to listen')
  })

  test.each([['--allow-unauthenticated='], ['--allow-unauthenticated', '']])(
    'by an empty value: %s %s',
    async (...flag) => {
      const { status, stderr } = refusal([...(await everywhere()), ...flag])
      expect(status).toBe(2)
      expect(stderr).toContain('is neither true nor false')
    },
  )
})

test('a flag alone is a consent', async () => {
  const server = await Server.start({ args: ['--access-log', '--log-format', 'json'] })
  try {
    expect((await fetch(`${server.origin}/health`)).status).toBe(200)
  } finally {
    await server.stop()
  }
  expect(server.stderr).toContain('"path":"/health"')
})

test('a server without an address is not started', () => {
  const file = join(directory, 'empty-list.toml')
  writeFileSync(file, 'listen = []')
  const { status, stderr } = refusal(['--config', file])
  expect(status).toBe(2)
  expect(stderr).toContain('no address to listen at')
})

test('what is wrong with a file or a directory is said in a sentence', () => {
  const file = join(directory, 'file')
  writeFileSync(file, '')
  const config = refusal(['--config', directory])
  expect(config.status).toBe(2)
  expect(config.stderr).toContain('it is a directory')
  const data = refusal(['--data-dir', file])
  expect(data.status).toBe(2)
  expect(data.stderr).toContain('is not a directory')
})
