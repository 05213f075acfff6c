// Runs sequences against both servers, and cuts down those that show a difference nobody knows.
import { OffsetNames, compare, type Difference } from './compare.ts'
import { kKnown } from './known.ts'
import type { Step } from './sequence.ts'
import { Target, type Seen } from './target.ts'

export interface Finding {
  step: Step
  differences: Difference[]
  ours: Seen
  theirs: Seen
}

export interface Outcome {
  requests: number
  /** How often each known difference was seen. */
  known: Map<string, number>
  /** The first difference that is not known. */
  finding: Finding | null
}

let folders = 0

/** Whether one server has stored, closed, created or deleted something that the other has not. */
function parted(step: Step, ours: Seen, theirs: Seen): boolean {
  const write = step.method === 'PUT' || step.method === 'POST' || step.method === 'DELETE'
  return write && ours.status < 300 !== theirs.status < 300
}

/**
 * Sends the steps one after the other to both servers, which must know nothing of `prefix` yet.
 * Ends early once the two have different streams.
 */
export async function runSequence(
  steps: readonly Step[],
  ports: { ours: number; theirs: number },
  prefix: string,
): Promise<Outcome> {
  const folder = `${prefix}-${++folders}`
  const us = new Target('ours', ports.ours, folder)
  const them = new Target('theirs', ports.theirs, folder)
  const offsets = new OffsetNames()
  const createdAt = new Map<string, number>()
  const outcome: Outcome = { requests: 0, known: new Map(), finding: null }
  try {
    for (const step of steps) {
      const [ours, theirs] = await Promise.all([us.send(step), them.send(step)])
      ++outcome.requests
      if (step.method === 'PUT' && ours.status === 201) createdAt.set(step.stream, step.id)
      const unknown: Difference[] = []
      let apart = parted(step, ours, theirs)
      for (const difference of compare(step, ours, theirs, offsets)) {
        const known = kKnown.find((one) =>
          one.matches(difference, step, ours, theirs, { createdAt }),
        )
        if (known === undefined) {
          unknown.push(difference)
          continue
        }
        outcome.known.set(known.name, (outcome.known.get(known.name) ?? 0) + 1)
        if (known.parts === true) apart = true
      }
      // A step cannot refer to what only one of the two has told.
      for (const name of ['stream-next-offset', 'etag']) {
        if (ours.headers.has(name) === theirs.headers.has(name)) continue
        us.forget(step.id, name)
        them.forget(step.id, name)
      }
      if (unknown.length > 0) {
        outcome.finding = { step, differences: unknown, ours, theirs }
        break
      }
      if (apart) break
    }
  } finally {
    us.close()
    them.close()
  }
  return outcome
}

/** The shortest part of the sequence that can be found to show the same kind of difference. */
export async function shrink(
  steps: readonly Step[],
  kind: string,
  ports: { ours: number; theirs: number },
  prefix: string,
): Promise<Step[]> {
  const fails = async (some: readonly Step[]): Promise<boolean> =>
    kindOf((await runSequence(some, ports, prefix)).finding) === kind
  let left = [...steps]
  for (
    let size = Math.ceil(left.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let at = 0; at < left.length;) {
      const without = [...left.slice(0, at), ...left.slice(at + size)]
      if (without.length > 0 && (await fails(without))) left = without
      else at += size
    }
  }
  for (const step of [...left]) {
    for (const part of ['headers', 'query'] as const) {
      for (let i = 0; i < step[part].length;) {
        const smaller = { ...step, [part]: step[part].filter((_, n) => n !== i) }
        const at = left.findIndex(({ id }) => id === step.id)
        const changed = [...left.slice(0, at), smaller, ...left.slice(at + 1)]
        if (await fails(changed)) {
          left = changed
          Object.assign(step, smaller)
        } else {
          ++i
        }
      }
    }
  }
  return left
}

/** What makes two findings the same one. */
export function kindOf(finding: Finding | null): string {
  if (finding === null) return ''
  const { step, differences, ours, theirs } = finding
  return `${step.method} ${differences[0]?.what} ${ours.status} ${theirs.status}`
}

/** As a person reads it, and with what was answered last. */
export function describe(steps: readonly Step[], finding: Finding): string {
  const lines = steps.map((step) => {
    const value = (v: unknown): string => (typeof v === 'string' ? v : JSON.stringify(v))
    const query = step.query.map(([name, v]) => `${name}=${value(v)}`).join('&')
    const headers = step.headers.map(([name, v]) => ` ${name}: ${value(v)};`).join('')
    const body = step.body === undefined ? '' : ` ${JSON.stringify(step.body)}`
    return `  #${step.id} ${step.method} ${step.stream}${query && `?${query}`}${headers}${body}`
  })
  const shown = (name: string, seen: Seen): string => {
    const headers = [...seen.headers].filter(([key]) =>
      /^(stream-|producer-|content-type|etag|location)/.test(key),
    )
    const body = seen.sse === undefined ? seen.body.toString('utf8') : JSON.stringify(seen.sse)
    const told = JSON.stringify(Object.fromEntries(headers))
    return `  ${name}: ${seen.status} ${told} ${body.slice(0, 300)}`
  }
  return [
    ...lines,
    shown('ours', finding.ours),
    shown('theirs', finding.theirs),
    ...finding.differences.map((d) => `  ${d.what}: ours ${d.ours}, theirs ${d.theirs}`),
  ].join('\n')
}
