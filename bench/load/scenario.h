// The scenarios. Each makes its streams, runs warm-up, measured window and drain, and returns what
// it found. Requests that are under way at a window's edge count where they end.
#pragma once

#include "bench/load/options.h"
#include "bench/load/result.h"

namespace ds::bench {

// POSTs to one or many streams. Connection c of C appends to streams c, c + C, ... in turn (all of
// them to stream c mod N when there are fewer streams than connections), so that every stream is
// touched equally often. Checked: 204 (200 for a producer's) and Stream-Next-Offset.
Result run_append(const Options& options);

// GETs of whole streams, chunk after chunk where the server cuts them. Checked: 200, the exact
// length, Stream-Next-Offset. The streams are filled, and their chunks learned, before.
Result run_read(const Options& options);

// Readers that long-poll with the offset and cursor of their last answer, and one writer. Counts
// deliveries: an append received by a reader; the latency is from when the append was due.
Result run_longpoll(const Options& options);

// The same with SSE readers, which reconnect where they stood when the server ends their response.
Result run_sse_fanout(const Options& options);

// XADD to keys of a Redis server, which are made by the first; each connection sends the next when
// the last is answered, and nothing is pipelined.
Result run_redis_xadd(const Options& options);

// The same with messages to JetStream streams, published with a reply subject and awaited.
Result run_nats_publish(const Options& options);

// SSE readers of streams that nobody writes to: memory and CPU time of the server.
Result run_idle_sse(const Options& options);

}  // namespace ds::bench
