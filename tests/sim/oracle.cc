#include "tests/sim/oracle.h"

#include <algorithm>

#include "core/wire/errors.h"
#include "tests/sim/violation.h"

namespace ds::sim {

using wire::ErrorCode;
using What = Sent::What;

namespace {

std::string producer_key(uint64_t stream, const std::string& id) {
  return std::to_string(stream) + "/" + id;
}
std::string epoch_key(uint64_t stream, const Tuple& tuple) {
  return producer_key(stream, tuple.id) + "/" + std::to_string(tuple.epoch);
}

void raise(uint64_t& fact, uint64_t at_least) { fact = std::max(fact, at_least); }

int64_t touch_interval_us(int64_t ttl_us) {
  return std::clamp<int64_t>(ttl_us / 8, 1000000, int64_t{3600} * 1000000);
}

}  // namespace

bool Oracle::is_write(const Sent& sent) {
  return sent.what == What::kCreate || sent.what == What::kAppend || sent.what == What::kDelete;
}

Stream* Oracle::current(const std::string& path) {
  Stream* stream = model_.find(paths_[path].current);
  return stream != nullptr && stream->gone_since == 0 ? stream : nullptr;
}

std::optional<uint64_t> Oracle::next_seq(uint64_t stream, const Tuple& tuple) const {
  const auto found = next_seqs_.find(epoch_key(stream, tuple));
  if (found == next_seqs_.end()) return std::nullopt;
  return found->second;
}

// --- What is under way
// ----------------------------------------------------------------------------

void Oracle::sent(uint64_t request, Sent sent, Instant now) {
  Path& path = paths_[sent.path];
  sent.since = ++clock_;
  sent.time = now;
  if (const Stream* stream = current(sent.path)) {
    sent.stream = stream->id;
    sent.tail = stream->tail;
    sent.earliest = stream->earliest;
    sent.last_seq = stream->last_seq;
    if (sent.producer) {
      sent.next_seq = next_seq(stream->id, *sent.producer);
      sent.epoch = epochs_[producer_key(stream->id, sent.producer->id)];
    }
  }
  if (!sent.source.empty()) {
    if (const Stream* source = current(sent.source)) {
      sent.source_stream = source->id;
      sent.source_tail = source->tail;
    }
    paths_[sent.source].accesses_under_way++;
  }
  sent.quiet = path.writes_under_way == 0;
  sent.exact = sent.quiet ? path.exact : std::nullopt;
  if (path.accesses_under_way == 0) sent.accessed = path.accessed;
  if (is_access(sent)) path.accesses_under_way++;
  if (is_write(sent)) {
    path.writes_under_way++;
    path.exact.reset();
    for (auto& [id, other] : open_) {
      if (other.path == sent.path) other.quiet = false;
    }
  }
  if (sent.what == What::kDelete) path.deletes.push_back({request, UINT64_MAX, false, ""});
  if (sent.closes) path.closes.push_back({request, UINT64_MAX, false, ""});
  if (!sent.stream_seq.empty()) {
    path.seqs.push_back({request, UINT64_MAX, false, sent.stream_seq});
  }
  if (sent.producer) raise(path.epochs[sent.producer->id], sent.producer->epoch);
  if (sent.tag != 0) model_.payload(sent.tag).open++;
  open_.emplace(request, std::move(sent));
}

void Oracle::no_longer_under_way(const Sent& sent, bool accessed, Instant now) {
  Path& path = paths_[sent.path];
  if (is_access(sent)) {
    path.accesses_under_way--;
    if (accessed) path.accessed = std::max(path.accessed, now);
  }
  if (is_write(sent)) path.writes_under_way--;
  if (!sent.source.empty()) {
    Path& source = paths_[sent.source];
    source.accesses_under_way--;
    source.accessed = std::max(source.accessed, now);
  }
}

// It stays under way until the process ends, or has nothing left to do.
void Oracle::abandoned(uint64_t request, Instant) { open_.erase(request); }

void Oracle::ended(uint64_t request, Instant now) {
  const auto found = open_.find(request);
  if (found == open_.end()) return;
  no_longer_under_way(found->second, true, now);
  open_.erase(found);
}

void Oracle::settle(Instant now, bool died) {
  const uint64_t then = ++clock_;
  const auto end_all = [then](std::vector<Possible>& all) {
    for (Possible& one : all) one.until = std::min(one.until, then);
  };
  for (auto& [name, path] : paths_) {
    end_all(path.deletes);
    end_all(path.closes);
    end_all(path.seqs);
    if (path.accesses_under_way > 0) path.accessed = now;
    path.accesses_under_way = path.writes_under_way = 0;
  }
  for (const auto& [name, path] : paths_) {
    // An access is on record, or so young that a restart makes up for it.
    if (io_faults_ || died) continue;
    for (Stream* stream : model_.at_path(name)) stream->durably_accessed = stream->accessed;
  }
  // Live readers are the ones that may still be open.
  for (const auto& [request, sent] : open_) {
    require(!is_write(sent), "a write to " + sent.path + " has never been answered");
    if (is_access(sent)) paths_[sent.path].accesses_under_way++;
  }
}

void Oracle::crashed(Instant now) {
  open_.clear();
  settle(now, true);
  for (auto& [name, path] : paths_) {
    path.exact.reset();
    for (Stream* stream : model_.at_path(name)) stream->accessed = stream->durably_accessed;
  }
}

void Oracle::set_fate(uint64_t request, const Sent& sent, bool refused) {
  Path& path = paths_[sent.path];
  for (std::vector<Possible>* all : {&path.deletes, &path.closes, &path.seqs}) {
    for (Possible& one : *all) {
      if (one.request != request) continue;
      one.refused = refused;
      one.until = clock_;
    }
  }
  if (sent.tag != 0) model_.payload(sent.tag).open--;
}

// --- Facts
// ----------------------------------------------------------------------------------------

void Oracle::is_gone(uint64_t id, Instant now, const char* why) {
  Stream* stream = model_.find(id);
  if (stream == nullptr || stream->gone_since != 0) return;
  const Path& path = paths_[stream->path];
  const bool deleted = std::any_of(
      path.deletes.begin(), path.deletes.end(),
      [&](const Possible& one) { return !one.refused && one.until > stream->alive_at; });
  const bool expired = stream->ttl_us && now.us >= stream->accessed.us + *stream->ttl_us;
  require(deleted || expired, stream->path + " (" + std::to_string(id) + ") is lost: " + why);
  stream->gone_since = ++clock_;
}

void Oracle::is_there(const Sent& sent, Stream& stream, Instant now) {
  const std::string name = stream.path + " (" + std::to_string(stream.id) + ")";
  require(stream.path == sent.path, "an answer tells of a stream at another path");
  require(stream.gone_since == 0 || stream.gone_since > sent.since, name + " is back");
  require(stream.id >= sent.stream, name + " is back, an earlier life");
  if (stream.ttl_us && sent.accessed && stream.id == sent.stream) {
    const int64_t latest = sent.accessed->us + *stream.ttl_us + touch_interval_us(*stream.ttl_us);
    require(sent.time.us <= latest, name + " has outlived its time");
  }
  raise(stream.alive_at, sent.since);
  for (Stream* other : model_.at_path(stream.path)) {
    if (other->id >= stream.id) continue;
    if (other->alive_at > 0) is_gone(other->id, now, "another one is at its path");
    if (other->gone_since == 0) other->gone_since = ++clock_;
  }
  raise(paths_[stream.path].current, stream.id);
  if (touches_) stream.accessed = std::max(stream.accessed, sent.time);
}

// The stream at the path whose offset that is, if it can be told.
Stream* Oracle::there(const Sent& sent, Offset offset, Instant now) {
  const auto all = model_.at_path(sent.path);
  require(std::any_of(all.begin(), all.end(),
                      [&](const Stream* stream) {
                        return model_.life_at(*stream, offset.position.value) == offset.life.value;
                      }),
          "an offset at " + sent.path + " that no stream there can have");
  Stream* stream = model_.identify(sent.path, offset);
  if (stream != nullptr) is_there(sent, *stream, now);
  return stream;
}

void Oracle::has_tail(const Sent& sent, Stream& stream, uint64_t tail, bool closed) {
  const std::string name = stream.path + " (" + std::to_string(stream.id) + ")";
  require(stream.id != sent.stream || tail >= sent.tail,
          name + " had a tail of " + std::to_string(sent.tail) + " and has one of " +
              std::to_string(tail));
  if (!closed) {
    require(stream.closed_since == 0 || stream.closed_since > sent.since,
            name + " was closed and is open");
    raise(stream.open_at, sent.since);
    raise(stream.tail, tail);
    return;
  }
  const Path& path = paths_[stream.path];
  require(stream.closed_since != 0 ||
              std::any_of(
                  path.closes.begin(), path.closes.end(),
                  [&](const Possible& one) { return !one.refused && one.until > stream.open_at; }),
          name + " is closed, and nobody closed it");
  require(stream.closed_since == 0 ? tail >= stream.tail : tail == stream.tail,
          name + " is closed at another tail than it had");
  if (stream.closed_since == 0) stream.closed_since = ++clock_;
  stream.tail = tail;
}

// Retention has dropped what is before, and nothing else.
void Oracle::begins_at(const Sent& sent, Stream& stream, uint64_t earliest) {
  const std::string what =
      stream.path + " (" + std::to_string(stream.id) + ") begins at " + std::to_string(earliest);
  require(earliest == 0 || stream.trims.count(earliest) > 0, what + ", and nobody dropped that");
  require(stream.id != sent.stream || earliest >= sent.earliest,
          what + " and has begun at " + std::to_string(sent.earliest));
  raise(stream.earliest, earliest);
}

// That the log was asked to record it is none of a client's business: if it was not, then the
// answer tells of something that is lost if the server is killed now.
Stream& Oracle::named(const Sent& sent, Incarnation life) {
  Stream* stream = model_.find(life.value);
  return stream != nullptr ? *stream : model_.presume(life.value, sent.path);
}

// --- Answers
// --------------------------------------------------------------------------------------

void Oracle::answered(uint64_t request, const wire::Response& response, Instant now) {
  const auto found = open_.find(request);
  require(found != open_.end(), "a second answer to a request");
  const Sent sent = std::move(found->second);
  open_.erase(found);
  ++clock_;
  const bool refused = response.status >= 400;
  const bool repeated_create = sent.what == What::kCreate && response.status == 200;
  judge(sent, response, now);
  set_fate(request, sent, refused || repeated_create);
  no_longer_under_way(sent, response.status < 400 || response.status >= 500, now);
}

void Oracle::judge(const Sent& sent, const wire::Response& response, Instant now) {
  touches_ = is_access(sent) && response.status < 400;
  if (response.status >= 400) {
    judge_error(sent, response, now);
    if (sent.quiet && response.status < 500) judge_exact(sent, response);
    if (sent.quiet) paths_[sent.path].exact = sent.exact;
    return;
  }
  if (sent.quiet) judge_exact(sent, response);
  switch (sent.what) {
    case What::kCreate:
      return judge_created(sent, response, now);
    case What::kAppend:
      return judge_appended(sent, response, now);
    case What::kDelete:
      return is_gone(sent.stream, now, "it was deleted");
    case What::kHead: {
      Stream* stream = there(sent, response.next_offset.value(), now);
      if (stream == nullptr) return;
      const uint64_t tail = response.next_offset->position.value;
      has_tail(sent, *stream, tail, response.closed);
      begins_at(sent, *stream,
                response.earliest_offset ? response.earliest_offset->position.value : 0);
      if (sent.quiet && !stream->ttl_us) {
        paths_[sent.path].exact = Sent::Exact{stream->id, tail, response.closed};
      }
      return;
    }
    case What::kRead:
    case What::kPoll:
    case What::kSse:
      return judge_read(sent, response, now);
  }
}

void Oracle::judge_error(const Sent& sent, const wire::Response& response, Instant now) {
  const std::string code(wire::error_info(response.error).code);
  switch (response.error) {
    case ErrorCode::kStorageFull:
      require(!ballast_ || sent.tag != 0 || sent.what == What::kCreate,
              "what needs no room found none on a full disk");
      [[fallthrough]];
    case ErrorCode::kStorageFailed:
    case ErrorCode::kOverloaded:
      require(io_faults_, "error " + code + " though nothing has failed");
      return;
    case ErrorCode::kCorruptData:
      require(flips_, "error " + code + " though nothing is damaged");
      return;
    case ErrorCode::kNotFound:
    case ErrorCode::kStreamDeleted:
    case ErrorCode::kPathHeld:
      return is_gone(sent.stream, now, "answered as if it were not there");
    case ErrorCode::kStreamExists:
      require(sent.what == What::kCreate, "error " + code);
      return;
    case ErrorCode::kForkSourceNotFound:
    case ErrorCode::kForkSourceDeleted:
      return is_gone(sent.source_stream, now, "a fork does not find it");
    case ErrorCode::kInvalidForkOffset: {
      const Stream* source = model_.find(sent.source_stream);
      // One of an earlier life, or of what retention has dropped.
      const Offset at = sent.fork_at.value_or(Offset{});
      const bool other =
          source != nullptr && model_.life_at(*source, at.position.value) != at.life.value;
      const bool dropped = source != nullptr && !source->trims.empty() &&
                           at.position.value < *source->trims.rbegin();
      if (sent.fork_at && (other || dropped)) return;
      [[fallthrough]];
    }
    case ErrorCode::kForkOffsetBeyondTail:
      return is_gone(sent.source_stream, now, "a fork does not find an offset in it");
    case ErrorCode::kForkSubOffsetBeyondMessage:
      require(sent.sub_offset > 0, "error " + code);
      return;
    case ErrorCode::kOffsetGone: {
      const Stream* stream = sent.at ? model_.find(sent.at->life.value) : nullptr;
      require(sent.at.has_value(), "error " + code + " without an offset");
      if (stream != nullptr && stream->path == sent.path) {
        is_gone(stream->id, now, "its offset is gone");
      }
      return;
    }
    case ErrorCode::kOffsetTrimmed: {
      require(response.earliest_offset.has_value(), "error " + code + " without an offset");
      Stream* stream = there(sent, *response.earliest_offset, now);
      if (stream == nullptr) return;
      // A read from the beginning may be overtaken on its way to the disk.
      const uint64_t from = sent.at ? sent.at->position.value : sent.earliest;
      require(!sent.from_now && from < response.earliest_offset->position.value,
              sent.path + " has what it says was dropped");
      return begins_at(sent, *stream, response.earliest_offset->position.value);
    }
    default:
      require(sent.what == What::kAppend, "error " + code);
      return judge_append_error(sent, response, now);
  }
}

void Oracle::judge_append_error(const Sent& sent, const wire::Response& response, Instant now) {
  const std::string code(wire::error_info(response.error).code);
  require(response.next_offset.has_value(), code + " without an offset");
  Stream* stream = there(sent, *response.next_offset, now);
  if (stream != nullptr) {
    has_tail(sent, *stream, response.next_offset->position.value, response.closed);
  }
  const Path& path = paths_[sent.path];
  switch (response.error) {
    case ErrorCode::kStreamClosed:
      require(response.closed, "a closed stream that does not say so");
      return;
    case ErrorCode::kContentTypeMismatch:
      require(sent.wrong_type, "error " + code);
      return;
    case ErrorCode::kProducerFenced: {
      require(sent.producer && response.producer_epoch.value_or(0) > sent.producer->epoch,
              "fenced by an epoch that is not newer");
      const auto sent_epoch = path.epochs.find(sent.producer->id);
      require(*response.producer_epoch <= sent_epoch->second,
              "fenced by an epoch that nobody began");
      if (stream != nullptr) {
        raise(epochs_[producer_key(stream->id, sent.producer->id)], *response.producer_epoch);
      }
      return;
    }
    case ErrorCode::kSequenceGap:
      require(sent.producer && response.expected_seq && *response.expected_seq < sent.producer->seq,
              "a sequence gap where there is none");
      require(stream == nullptr || stream->id != sent.stream || !sent.next_seq ||
                  *response.expected_seq >= *sent.next_seq,
              "a producer's accepted write has been forgotten at " + sent.path);
      return;
    case ErrorCode::kNewEpochNotAtZero:
      require(sent.producer && sent.producer->seq > 0 &&
                  (stream == nullptr || stream->id != sent.stream || !sent.next_seq),
              "a producer's epoch has been forgotten");
      return;
    case ErrorCode::kSequenceRegression:
      require(!sent.stream_seq.empty() && std::any_of(path.seqs.begin(), path.seqs.end(),
                                                      [&](const Possible& one) {
                                                        return !one.refused &&
                                                               one.seq >= sent.stream_seq;
                                                      }),
              "a Stream-Seq that nobody has passed");
      return;
    case ErrorCode::kPreconditionFailed:
      require(sent.if_match.has_value(), "error " + code);
      return;
    default:
      throw Violation("error " + code);
  }
}

void Oracle::judge_created(const Sent& sent, const wire::Response& response, Instant now) {
  require(response.next_offset.has_value(), "a creation without an offset");
  const Offset next = *response.next_offset;
  const bool is_new = response.status == 201;
  const bool has_content = sent.tag != 0 && !model_.payload(sent.tag).stored.empty();
  if (is_new) is_gone(sent.stream, now, "another stream was created at its path");
  Stream* stream = nullptr;
  if (is_new && (sent.source.empty() || has_content)) {
    stream = &named(sent, next.life);
    is_there(sent, *stream, now);
  } else {
    stream = there(sent, next, now);
  }
  if (!is_new || stream == nullptr) return;
  if (has_content) model_.done(sent.tag, stream->id, next.position.value);
  stream->durably_accessed = std::max(stream->durably_accessed, sent.time);
  has_tail(sent, *stream, next.position.value, response.closed);
  if (sent.quiet && !stream->ttl_us) {
    paths_[sent.path].exact = Sent::Exact{stream->id, next.position.value, response.closed};
  }
  if (sent.source.empty()) return;
  const Stream* source = model_.find(stream->source);
  require(source != nullptr && source->path == sent.source, "a fork of something else");
  const std::string where = sent.path + " was forked at " + std::to_string(stream->begin);
  if (!sent.fork_at) {
    require(source->id != sent.source_stream || stream->begin >= sent.source_tail, where);
  } else if (sent.sub_offset == 0) {
    require(stream->begin == sent.fork_at->position.value, where);
  } else if (model_.kind() != Kind::kJson) {
    require(stream->begin == sent.fork_at->position.value + sent.sub_offset, where);
  }
}

void Oracle::judge_accepted(const Sent& sent, Stream& stream, uint64_t end) {
  const bool same = stream.id == sent.stream;
  const uint64_t size = sent.tag != 0 ? model_.payload(sent.tag).stored.size() : 0;
  require(!same || end >= sent.tail + size, "a write before the tail of " + sent.path);
  require(!sent.wrong_type || size == 0, "a write of another type was accepted");
  require(!same || stream.closed_since == 0 || stream.closed_since > sent.since || size == 0,
          "a write to closed " + sent.path);
  // To close what is closed is never refused.
  if (sent.if_match && size > 0) {
    require(model_.offset_at(stream, end - size) == *sent.if_match,
            "a write whose condition did not hold was accepted");
  }
  if (!sent.stream_seq.empty() && size > 0) {
    require(!same || sent.stream_seq > sent.last_seq, "a Stream-Seq was accepted twice");
    stream.last_seq = std::max(stream.last_seq, sent.stream_seq);
  }
  stream.durably_accessed = std::max(stream.durably_accessed, sent.time);
  if (!sent.producer) return;
  require(!same || sent.producer->epoch >= sent.epoch, "a fenced producer's write was accepted");
  require(!same || !sent.next_seq || sent.producer->seq >= *sent.next_seq,
          "a producer's write was accepted twice");
}

void Oracle::judge_appended(const Sent& sent, const wire::Response& response, Instant now) {
  require(response.next_offset.has_value(), "an append without an offset");
  const Offset next = *response.next_offset;
  const Payload* payload = sent.tag != 0 ? &model_.payload(sent.tag) : nullptr;
  const bool has_content = payload != nullptr && !payload->stored.empty();
  const bool repeated = sent.producer && has_content && response.status == 204;
  Stream* stream = nullptr;
  if (has_content) {
    stream = &named(sent, next.life);
    is_there(sent, *stream, now);
  } else {
    stream = there(sent, next, now);
  }
  if (stream == nullptr) return;
  const uint64_t end = next.position.value;
  if (has_content) {
    const bool dropped = !stream->trims.empty() && end <= *stream->trims.rbegin();
    require(!repeated || payload->open > 1 || !payload->done.empty() || !payload->seen.empty() ||
                dropped,
            "a producer's first attempt was called a repetition");
    model_.done(sent.tag, stream->id, end);
  }
  if (repeated) {
    raise(stream->tail, end);
  } else if (has_content || sent.closes) {
    judge_accepted(sent, *stream, end);
    // Pipelined writes may have come behind it since.
    if (sent.closes) {
      has_tail(sent, *stream, end, true);
    } else {
      require(!response.closed, "an open stream that is called closed");
      raise(stream->tail, end);
      raise(stream->open_at, sent.since);
    }
  }
  if (sent.producer) {
    raise(next_seqs_[epoch_key(stream->id, *sent.producer)], sent.producer->seq + 1);
    raise(epochs_[producer_key(stream->id, sent.producer->id)], sent.producer->epoch);
    require(response.producer_seq.value_or(0) >= sent.producer->seq,
            "a producer's highest sequence is below its own");
  }
  if (sent.quiet && !stream->ttl_us) {
    paths_[sent.path].exact = repeated ? sent.exact : Sent::Exact{stream->id, end, sent.closes};
  }
}

void Oracle::judge_read(const Sent& sent, const wire::Response& response, Instant now) {
  require(response.next_offset.has_value(), "a read without an offset");
  const Offset next = *response.next_offset;
  Stream* stream = nullptr;
  if (response.etag) {
    stream = model_.find(response.etag->life.value);
    require(stream != nullptr, "a read of an unknown life");
    is_there(sent, *stream, now);
    require(model_.offset_at(*stream, next.position.value) == next, "a read ends at a wrong life");
  } else {
    stream = there(sent, next, now);
  }
  if (stream == nullptr) return;
  const std::string bytes = stored(response);
  const uint64_t begin =
      sent.at.has_value() ? sent.at->position.value : next.position.value - bytes.size();
  require(begin + bytes.size() == next.position.value,
          "a read of " + sent.path + " whose bytes do not end at its offset");
  if (!sent.at && !sent.from_now) begins_at(sent, *stream, begin);
  require(stream->id != sent.stream || bytes.empty() || begin >= sent.earliest,
          "a read of " + sent.path + " shows what had been dropped");
  model_.observe(*stream, begin, bytes);
  if (response.up_to_date) {
    has_tail(sent, *stream, next.position.value, response.closed);
  } else {
    raise(stream->tail, next.position.value);
  }
}

void Oracle::saw(uint64_t request, uint64_t id, uint64_t begin, std::string_view bytes) {
  Stream* stream = model_.find(id);
  require(stream != nullptr && stream->path == open_.at(request).path, "a reader of nothing");
  model_.observe(*stream, begin, bytes);
  raise(stream->tail, begin + bytes.size());
}

// Nothing else was under way: there is one answer that is right.
void Oracle::judge_exact(const Sent& sent, const wire::Response& response) {
  if (!sent.exact || sent.producer || !sent.stream_seq.empty()) return;
  const Sent::Exact& exact = *sent.exact;
  const Stream& stream = *model_.find(exact.stream);
  const std::string what = "nothing else was under way at " + sent.path + " and ";
  if (sent.what == What::kHead) {
    require(response.status == 200 && response.next_offset->position.value == exact.tail &&
                response.closed == exact.closed,
            what + "HEAD tells another tail");
  }
  if (sent.what == What::kDelete) require(response.status == 204, what + "DELETE was refused");
  if (sent.what != What::kAppend) return;
  const uint64_t size = sent.tag != 0 ? model_.payload(sent.tag).stored.size() : 0;
  if (exact.closed) {
    require(size == 0 ? response.status == 204 : response.error == ErrorCode::kStreamClosed,
            what + "a write to a closed stream was not refused");
  } else if (sent.wrong_type && size > 0) {
    require(response.error == ErrorCode::kContentTypeMismatch, what + "a wrong type was accepted");
  } else if (sent.if_match && *sent.if_match != model_.offset_at(stream, exact.tail)) {
    require(response.error == ErrorCode::kPreconditionFailed, what + "a condition was ignored");
  } else {
    require(response.status == 204, what + "an append was refused");
    require(response.next_offset->position.value == exact.tail + size &&
                (size == 0 || response.next_offset->life.value == exact.stream),
            what + "an append has another offset than its own");
  }
}

std::string Oracle::stored(const wire::Response& response) const {
  std::string body;
  for (const Slice& slice : response.body) body += slice.bytes;
  if (model_.kind() != Kind::kJson || body.empty()) return body;
  require(body.front() == '[' && body.back() == ']', "a JSON body that is no array");
  const std::string inner = body.substr(1, body.size() - 2);
  return inner.empty() ? inner : inner + ",";
}

}  // namespace ds::sim
