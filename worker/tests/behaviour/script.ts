// The requests that the native server and the worker must answer alike, one after the other. Names
// of streams are unique within the file; `$name` in a value stands for the Stream-Next-Offset of the
// last answer about that stream.
export interface Step {
  method: string
  /** Below /v1/stream/, or from the root if it begins with a slash. */
  path: string
  query?: string
  headers?: Record<string, string>
  body?: string
}

const kText = { 'Content-Type': 'text/plain' }
const kJson = { 'Content-Type': 'application/json' }
const kBytes = { 'Content-Type': 'application/octet-stream' }

function producer(seq: number | string, epoch: number | string = 0): Record<string, string> {
  return { 'Producer-Id': 'p', 'Producer-Epoch': String(epoch), 'Producer-Seq': String(seq) }
}

const put = (path: string, headers: Record<string, string> = kText, body?: string): Step => ({
  method: 'PUT',
  path,
  headers,
  body,
})
const post = (path: string, body?: string, headers: Record<string, string> = kText): Step => ({
  method: 'POST',
  path,
  headers,
  body,
})
const get = (path: string, query?: string, headers?: Record<string, string>): Step => ({
  method: 'GET',
  path,
  query,
  headers,
})
const head = (path: string): Step => ({ method: 'HEAD', path })
const remove = (path: string): Step => ({ method: 'DELETE', path })

const kCreate: Step[] = [
  put('create/a'),
  put('create/a'),
  put('create/a', kJson),
  put('create/b', {}, undefined),
  put('create/c', { ...kText, 'Stream-TTL': '60' }),
  head('create/c'),
  put('create/c', { ...kText, 'Stream-TTL': '61' }),
  put('create/d', { ...kText, 'Stream-TTL': '060' }),
  put('create/d', { ...kText, 'Stream-TTL': '-1' }),
  put('create/d', { ...kText, 'Stream-TTL': '5', 'Stream-Expires-At': '2099-01-01T00:00:00Z' }),
  put('create/e', { ...kText, 'Stream-Expires-At': '2099-01-01T00:00:00Z' }),
  head('create/e'),
  put('create/f', { ...kText, 'Stream-Closed': 'true' }, 'all there is'),
  get('create/f'),
  put('create/g', { ...kText, 'Stream-Max-Age': '3600', 'Stream-Max-Bytes': '1000' }),
  head('create/g'),
  put('create/h', { 'Content-Type': 'no type' }),
  put('__ds/x'),
  put('create/..%2e/x'),
  put('create//x'),
  { method: 'PATCH', path: 'create/a' },
  { method: 'OPTIONS', path: 'create/a' },
  get('/nothing'),
  get('/health'),
]

const kAppend: Step[] = [
  post('append/none', 'x'),
  put('append/a'),
  post('append/a', 'one'),
  post('append/a', 'two', { 'Content-Type': 'TEXT/plain; charset=utf-8' }),
  post('append/a', 'x', kJson),
  post('append/a', undefined, kText),
  post('append/a', 'x', {}),
  post('append/a', 'three', { ...kText, 'Stream-Seq': 'b' }),
  post('append/a', 'x', { ...kText, 'Stream-Seq': 'a' }),
  post('append/a', 'x', { ...kText, 'If-Match': '"0000000000000001_0000000000000000"' }),
  post('append/a', 'four', { ...kText, 'If-Match': '"$append/a"' }),
  get('append/a'),
  get('append/a', 'offset=-1', { 'X-Request-Id': 'mine' }),
  post('append/a', undefined, { 'Stream-Closed': 'true' }),
  post('append/a', undefined, { 'Stream-Closed': 'true' }),
  post('append/a', 'x'),
  get('append/a'),
  head('append/a'),
  remove('append/a'),
  remove('append/a'),
  get('append/a'),
]

const kProducers: Step[] = [
  put('producers/a'),
  post('producers/a', 'a', { ...kText, ...producer(0) }),
  post('producers/a', 'b', { ...kText, ...producer(1) }),
  post('producers/a', 'a', { ...kText, ...producer(0) }),
  post('producers/a', 'd', { ...kText, ...producer(3) }),
  post('producers/a', 'x', { ...kText, ...producer(1, 1) }),
  post('producers/a', 'c', { ...kText, ...producer(0, 1) }),
  post('producers/a', 'x', { ...kText, ...producer(2, 0) }),
  post('producers/a', 'x', { ...kText, 'Producer-Id': 'p' }),
  post('producers/a', 'x', { ...kText, ...producer('01') }),
  post('producers/a', undefined, { 'Stream-Closed': 'true', ...producer(1, 1) }),
  post('producers/a', undefined, { 'Stream-Closed': 'true', ...producer(1, 1) }),
  get('producers/a'),
]

const kReads: Step[] = [
  put('reads/a'),
  get('reads/a'),
  get('reads/a', 'offset=now'),
  post('reads/a', 'hello '),
  post('reads/a', 'world'),
  get('reads/a', 'offset=-1'),
  get('reads/a', 'offset=0000000000000000_0000000000000000'),
  get('reads/a', 'offset=$reads/a'),
  get('reads/a', 'offset=0000000000000001_0000000000000000'),
  get('reads/a', 'offset='),
  get('reads/a', 'offset=x'),
  get('reads/a', 'offset=-1&offset=-1'),
  get('reads/a', 'live=long-poll'),
  get('reads/a', 'offset=-1&live=no'),
  get('reads/a', 'offset=-1&live=long-poll&cursor=9999999999'),
  put('reads/json', kJson, '[1, {"a" : 2}]'),
  post('reads/json', '[]', kJson),
  post('reads/json', '{"b":', kJson),
  post('reads/json', '"\\ud800"', kJson),
  get('reads/json'),
  put('reads/bytes', kBytes, '\u0001\u0002'),
  get('reads/bytes'),
  { ...post('reads/bytes', undefined, { 'Stream-Closed': 'true' }) },
  get('reads/bytes', 'offset=-1&live=sse'),
  put('reads/lines', { ...kText, 'Stream-Closed': 'true' }, 'a\nb\r\n c'),
  get('reads/lines', 'offset=-1&live=sse'),
  put('reads/array', { ...kJson, 'Stream-Closed': 'true' }, '[[1],2]'),
  get('reads/array', 'offset=-1&live=sse'),
  get('reads/array', 'offset=$reads/array&live=long-poll'),
]

const kForks: Step[] = [
  put('forks/source'),
  post('forks/source', 'one;'),
  post('forks/source', 'two;'),
  put('forks/a', { 'Stream-Forked-From': '/v1/stream/forks/source' }),
  put('forks/a', { 'Stream-Forked-From': '/v1/stream/forks/source' }),
  post('forks/a', 'own;'),
  get('forks/a'),
  put('forks/b', {
    'Stream-Forked-From': '/v1/stream/forks/source',
    'Stream-Fork-Offset': '0000000000000000_0000000000000000',
    'Stream-Fork-Sub-Offset': '2',
  }),
  get('forks/b'),
  put('forks/c', { 'Stream-Forked-From': '/v1/stream/forks/nothing' }),
  put('forks/c', { 'Stream-Fork-Offset': '0000000000000000_0000000000000000' }),
  put('forks/c', { ...kJson, 'Stream-Forked-From': '/v1/stream/forks/source' }),
  put('forks/c', {
    'Stream-Forked-From': '/v1/stream/forks/source',
    'Stream-Fork-Offset': '0000000000000000_0000000000000000',
    'Stream-Fork-Sub-Offset': '5',
  }),
  remove('forks/source'),
  get('forks/source'),
  put('forks/source'),
  get('forks/a'),
  remove('forks/a'),
  remove('forks/b'),
]

export const kScript: Step[] = [...kCreate, ...kAppend, ...kProducers, ...kReads, ...kForks]
