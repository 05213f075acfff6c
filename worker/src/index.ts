// The worker's entry point.
import { handle } from './edge.ts'
import type { Env } from './settings.ts'

export { StreamObject } from './stream_object.ts'

export default {
  fetch: handle,
} satisfies ExportedHandler<Env>
