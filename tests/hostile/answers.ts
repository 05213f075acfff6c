// What every refusal looks like, whoever in the server makes it.
import { expect } from 'vitest'
import type { RawAnswer } from '../lib/raw.ts'

export function expectRefusal(answer: RawAnswer, status: number, code: string): void {
  const text = answer.body.toString()
  expect(`${answer.status} ${text}`).toMatch(new RegExp(`^${status} \\{"code":"${code}",`))
  const body = JSON.parse(text) as Record<string, unknown>
  expect(Object.keys(body).sort()).toEqual(['code', 'error'])
  expect(body.error).toMatch(/.{10,}/)
  const header = (name: string): string | undefined => answer.headers.get(name)
  expect(header('content-type')).toMatch(/^application\/json/)
  expect(header('cache-control')).toBe('no-store')
  expect(header('x-content-type-options')).toBe('nosniff')
  expect(header('cross-origin-resource-policy')).toBe('cross-origin')
  expect(header('access-control-allow-origin')).toBe('*')
}
