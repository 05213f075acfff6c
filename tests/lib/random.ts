// Seeded randomness: the seed is printed, and the same seed makes the same choices.

/** The seed of this run: DS_TEST_SEED, or one taken from the clock. */
export function runSeed(): number {
  const given = process.env.DS_TEST_SEED
  const seed = given === undefined ? Date.now() % 2 ** 31 : Number(given)
  if (!Number.isSafeInteger(seed)) throw new Error(`DS_TEST_SEED=${given} is not an integer`)
  return seed
}

export class Random {
  private state: number

  constructor(readonly seed: number) {
    this.state = seed >>> 0
  }

  /** A float in [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer in [low, high]. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    const chosen = from[this.int(0, from.length - 1)]
    if (chosen === undefined) throw new Error('pick from nothing')
    return chosen
  }

  bytes(length: number): Buffer {
    const out = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; ++i) out[i] = this.int(0, 255)
    return out
  }

  /** A generator of its own for one part of the test, so that parts do not disturb each other. */
  fork(): Random {
    return new Random(this.int(0, 2 ** 31 - 1))
  }
}
