// What a deployment may set, as text variables (docs/cloudflare.md). Most need none.
import type { Exports } from './module.ts'
import type { StreamObject } from './stream_object.ts'

export interface Env {
  STREAMS: DurableObjectNamespace<StreamObject>
  /** Where history goes; without it all of it stays with the object. */
  SEGMENTS?: R2Bucket
  LONG_POLL_TIMEOUT_MS?: string
  MAX_CHUNK_BYTES?: string
  MAX_BODY_BYTES?: string
  CHECKPOINT_OPS?: string
  CHECKPOINT_BYTES?: string
  STORAGE_BYTES_MAX?: string
  SEAL_BYTES?: string
  SEAL_OPS?: string
  AUDIT_AFTER_MS?: string
  RETRY_AFTER_MS?: string
  SSE_LIFETIME_MS?: string
  SSE_HEARTBEAT_MS?: string
}

// In the order of the core's numbers for them (worker/wasm/abi.cc).
const kOptions = [
  'LONG_POLL_TIMEOUT_MS',
  'MAX_CHUNK_BYTES',
  'MAX_BODY_BYTES',
  'CHECKPOINT_OPS',
  'CHECKPOINT_BYTES',
  'STORAGE_BYTES_MAX',
  'SEAL_BYTES',
  'SEAL_OPS',
  'AUDIT_AFTER_MS',
  'RETRY_AFTER_MS',
] as const

const kSealBytes = 4 << 20

/** A setting as a number; what is no positive number counts as not set. */
export function numberSetting(text: string | undefined, fallback: number): number {
  const value = Number(text)
  return text !== undefined && Number.isFinite(value) && value > 0 ? value : fallback
}

export function applySettings(core: Exports, env: Env): void {
  kOptions.forEach((name, which) => {
    const value = numberSetting(env[name], 0)
    if (value > 0) core.set_option(which, value)
  })
  const seal = env.SEGMENTS === undefined ? 0 : numberSetting(env.SEAL_BYTES, kSealBytes)
  core.set_option(kOptions.indexOf('SEAL_BYTES'), seal)
}
