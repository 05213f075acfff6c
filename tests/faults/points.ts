// Which of the calls of a run are made to go wrong, and several runs at a time.
import { within } from '../lib/fixture.ts'
import { Random, runSeed } from '../lib/random.ts'

const kLong = process.env.DS_TEST_LONG === '1'
const kItemMs = 180_000

/** All of 1 to `last` with --long; otherwise `few` of them, spread evenly, others each run. */
export function pointsUpTo(last: number, few: number): number[] {
  if (kLong || last <= few) return Array.from({ length: last }, (_, i) => i + 1)
  const seed = runSeed()
  console.log(`DS_TEST_SEED=${seed}: ${few} of ${last} points`)
  const random = new Random(seed)
  const step = last / few
  return Array.from({ length: few }, (_, i) =>
    Math.min(last, 1 + Math.floor(i * step) + random.int(0, Math.floor(step) - 1)),
  )
}

/** Runs `work` for each of the items, `lanes` at a time; what went wrong, by item. */
export async function forEach<T>(
  items: readonly T[],
  lanes: number,
  work: (item: T) => Promise<string>,
): Promise<string[]> {
  const problems: string[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < items.length && problems.length < 10) {
      const item = items[next++] as T
      const problem = await within(kItemMs, 'its end', work(item)).catch(
        (error: Error) => `${error.stack ?? error}`,
      )
      if (problem !== '') problems.push(`${JSON.stringify(item)}: ${problem}`)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return problems
}
