// For the engine's tests: the protocol once more, as simply as possible. A model is the state of a
// server in which everything is durable at once; it has no lives but numbers them as they come.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/test_host.h"
#include "core/producer/producer_state.h"

namespace ds::engine::test {

// A request whose parts a model understands.
struct Asked {
  enum class What : uint8_t { kCreate, kAppend, kDelete, kRead, kHead } what = What::kRead;
  std::string path;
  std::string type = "text/plain";  // kCreate: "" inherits or is the default; kAppend
  std::vector<std::string> parts;   // JSON values, or at most one piece of text
  std::optional<uint64_t> ttl;      // kCreate
  bool closes = false;              // kCreate, kAppend
  struct Tuple {
    std::string id;
    uint64_t epoch = 0;
    uint64_t seq = 0;
  };
  std::optional<Tuple> producer;   // kAppend
  std::optional<std::string> seq;  // kAppend
  // An offset: whose life (0: the zero-zero offset) and where. kRead: absent means the beginning;
  // kAppend: If-Match; kCreate: of a fork.
  struct At {
    uint64_t life = 0;
    uint64_t position = 0;
  };
  std::optional<At> at;
  std::string source;  // kCreate: of a fork
  uint64_t sub_offset = 0;

  bool json() const { return type == "application/json"; }
  std::string stored() const {
    std::string out;
    for (const std::string& part : parts) out += json() ? part + "," : part;
    return out;
  }
  std::string body() const {
    if (!json() || parts.empty()) return stored();
    std::string out = "[";
    for (const std::string& part : parts) out += (out.size() > 1 ? "," : "") + part;
    return out + "]";
  }
};

// What a client sees of an answer, as far as a model knows.
struct Told {
  ErrorCode error = ErrorCode::kNone;
  int status = 0;
  std::optional<Asked::At> next;
  bool closed = false;
  bool up_to_date = false;
  std::optional<std::string> body;
  std::optional<uint64_t> producer_epoch, producer_seq, expected_seq;
};

class Model {
 public:
  struct Stream {
    uint64_t life = 0;
    std::string type;
    std::optional<uint64_t> ttl;
    bool closed = false;
    std::string content;                               // all of it, inherited bytes too
    std::vector<uint64_t> ends;                        // of messages
    std::vector<std::pair<uint64_t, uint64_t>> lives;  // (after position, life), oldest first
    struct Producer {
      uint64_t epoch = 0;
      std::vector<uint64_t> ends;  // by sequence
    };
    std::map<std::string, Producer> producers;
    std::optional<std::string> seq;
    std::string source_path;
    uint64_t source = 0;  // a life; 0: no fork
    uint64_t anchor = 0;
    uint64_t sub_offset = 0;
    std::set<uint64_t> forks;
    bool soft = false;

    bool json() const { return type == "application/json"; }
    uint64_t tail() const { return content.size(); }
    Asked::At at(uint64_t position) const {
      Asked::At out{lives[0].second, position};
      for (const auto& [after, life_after] : lives) {
        if (position > after) out.life = life_after;
      }
      return out;
    }
    // Where an offset points; nothing if it is of another life.
    std::optional<uint64_t> find(Asked::At offset) const {
      if (offset.life == 0) return 0;
      for (size_t i = lives.size(); i-- > 0;) {
        if (lives[i].second != offset.life) continue;
        const uint64_t end = i + 1 < lives.size() ? lives[i + 1].first : tail();
        return std::min(end, offset.position);
      }
      return std::nullopt;
    }
  };

  explicit Model(uint64_t chunk) : chunk_(chunk) {}

  Told ask(const Asked& asked, Instant now) {
    expire(asked.path, now);
    switch (asked.what) {
      case Asked::What::kCreate:
        return create(asked, now);
      case Asked::What::kAppend:
        return append(asked, now);
      case Asked::What::kDelete:
        return remove(asked);
      case Asked::What::kRead:
        return read(asked, now);
      case Asked::What::kHead:
        return head(asked);
    }
    return Told();
  }

  void expire_all(Instant now) {
    std::vector<std::string> paths;
    for (const auto& [path, stream] : streams) paths.push_back(path);
    for (const std::string& path : paths) expire(path, now);
  }
  bool expired(const Stream& stream, Instant now) const {
    return stream.ttl && !stream.soft &&
           accessed_->at(stream.life) + seconds(static_cast<int64_t>(*stream.ttl)) <= now;
  }

  std::map<std::string, Stream> streams;

  // Shared by the copies of a model: what a failed commit does not take back.
  uint64_t lives_given() const { return *last_life_; }

 private:
  static Told refuse(ErrorCode code) {
    Told out;
    out.error = code;
    out.status = wire::error_info(code).status;
    return out;
  }
  Stream* find(const std::string& path) {
    const auto found = streams.find(path);
    return found == streams.end() ? nullptr : &found->second;
  }
  void touch(const Stream& stream, Instant now) { (*accessed_)[stream.life] = now; }
  void expire(const std::string& path, Instant now) {
    const Stream* stream = find(path);
    if (stream != nullptr && expired(*stream, now)) take_away(path);
  }
  void take_away(const std::string& path) {
    Stream& stream = streams.at(path);
    if (!stream.forks.empty()) {
      stream.soft = true;
      return;
    }
    const Stream gone = stream;
    streams.erase(path);
    if (gone.source == 0) return;
    Stream* source = find(gone.source_path);
    if (source == nullptr || source->life != gone.source) return;
    source->forks.erase(gone.life);
    if (source->soft && source->forks.empty()) take_away(gone.source_path);
  }

  static void add_message(Stream& stream, const std::string& stored) {
    if (stored.empty()) return;
    stream.content += stored;
    stream.ends.push_back(stream.content.size());
  }

  bool matches(const Stream& stream, const Asked& asked) const {
    if (asked.closes != stream.closed) return false;
    if (asked.source.empty() != (stream.source == 0)) return false;
    if (asked.source.empty()) {
      const std::string type = asked.type.empty() ? "application/octet-stream" : asked.type;
      return type == stream.type && asked.ttl == stream.ttl;
    }
    if (asked.source != stream.source_path || asked.sub_offset != stream.sub_offset) return false;
    if (asked.at) {
      const Asked::At anchor = asked.at->life == 0 ? Asked::At{0, 0} : stream.at(stream.anchor);
      if (asked.at->position != stream.anchor || asked.at->life != anchor.life) return false;
    }
    return (asked.type.empty() || asked.type == stream.type) &&
           (!asked.ttl || asked.ttl == stream.ttl);
  }

  Told create(const Asked& asked, Instant now) {
    if (const Stream* there = find(asked.path)) {
      if (there->soft) return refuse(ErrorCode::kPathHeld);
      if (!matches(*there, asked)) return refuse(ErrorCode::kStreamExists);
      touch(*there, now);
      return created(*there, 200);
    }
    Stream stream;
    stream.type = asked.type.empty() ? "application/octet-stream" : asked.type;
    stream.ttl = asked.ttl;
    if (!asked.source.empty()) {
      const ErrorCode error = inherit(stream, asked, now);
      if (error != ErrorCode::kNone) return refuse(error);
    }
    stream.life = ++*last_life_;
    stream.lives.emplace_back(stream.content.size(), stream.life);
    if (stream.lives.size() == 1) stream.lives[0].first = 0;
    if (stream.source != 0) streams.at(asked.source).forks.insert(stream.life);
    Asked as_stored = asked;
    as_stored.type = stream.type;
    add_message(stream, as_stored.stored());
    stream.closed = asked.closes;
    touch(stream, now);
    return created(streams[asked.path] = stream, 201);
  }

  ErrorCode inherit(Stream& stream, const Asked& asked, Instant now) {
    expire(asked.source, now);
    Stream* source = find(asked.source);
    if (source == nullptr) return ErrorCode::kForkSourceNotFound;
    if (source->soft) return ErrorCode::kForkSourceDeleted;
    if (!asked.type.empty() && asked.type != source->type) return ErrorCode::kContentTypeMismatch;
    uint64_t position = source->tail();
    if (asked.at) {
      const auto at = source->find(*asked.at);
      if (!at) return ErrorCode::kInvalidForkOffset;
      if (asked.at->position > *at) return ErrorCode::kForkOffsetBeyondTail;
      position = *at;
    }
    const auto next = std::upper_bound(source->ends.begin(), source->ends.end(), position);
    const uint64_t begin = next == source->ends.begin() ? 0 : *std::prev(next);
    if (next != source->ends.end() && begin != position) return ErrorCode::kInvalidForkOffset;
    stream.anchor = position;
    stream.sub_offset = asked.sub_offset;
    if (asked.sub_offset > 0) {
      if (next == source->ends.end()) return ErrorCode::kForkSubOffsetBeyondMessage;
      const std::string message = source->content.substr(position, *next - position);
      // The values that the tests use have no comma of their own.
      uint64_t length = asked.sub_offset;
      if (source->json()) {
        size_t end = 0;
        for (uint64_t n = asked.sub_offset; n > 0 && end != std::string::npos; --n) {
          end = message.find(',', end);
          if (end != std::string::npos) ++end;
        }
        length = end == std::string::npos ? message.size() + 1 : end;
      }
      if (length > message.size()) return ErrorCode::kForkSubOffsetBeyondMessage;
      position += length;
    }
    stream.type = source->type;
    if (!stream.ttl) stream.ttl = source->ttl;
    stream.source = source->life;
    stream.source_path = asked.source;
    stream.content = source->content.substr(0, position);
    for (const uint64_t end : source->ends) {
      if (stream.ends.empty() ? position > 0 : stream.ends.back() < position) {
        stream.ends.push_back(std::min(end, position));
      }
    }
    for (const auto& span : source->lives) {
      if (stream.lives.empty() || span.first < position) stream.lives.push_back(span);
    }
    return ErrorCode::kNone;
  }

  static Told created(const Stream& stream, int status) {
    Told out;
    out.status = status;
    out.next = stream.at(stream.tail());
    out.closed = stream.closed;
    return out;
  }

  Told append(const Asked& asked, Instant now) {
    Stream* stream = find(asked.path);
    if (stream == nullptr) return refuse(ErrorCode::kNotFound);
    if (stream->soft) return refuse(ErrorCode::kStreamDeleted);
    Told out;
    out.closed = stream->closed;
    out.next = stream->at(stream->tail());
    const auto refused = [&](ErrorCode code) {
      out.error = code;
      out.status = wire::error_info(code).status;
      return out;
    };
    Stream::Producer* producer = nullptr;
    uint64_t wanted = 0;
    bool new_epoch = false;
    if (asked.producer) {
      const auto known = stream->producers.find(asked.producer->id);
      if (known != stream->producers.end()) {
        producer = &known->second;
        new_epoch = asked.producer->epoch > producer->epoch;
        if (!new_epoch) wanted = producer->ends.size();
        if (asked.producer->epoch == producer->epoch && asked.producer->seq < wanted) {
          const uint64_t age = wanted - 1 - asked.producer->seq;
          touch(*stream, now);
          out.status = 204;
          out.producer_epoch = producer->epoch;
          out.producer_seq = wanted - 1;
          if (age < ds::producer::kReceiptsMax)
            out.next = stream->at(producer->ends[asked.producer->seq]);
          return out;
        }
        if (asked.producer->epoch < producer->epoch) {
          out.producer_epoch = producer->epoch;
          return refused(ErrorCode::kProducerFenced);
        }
      }
    }
    const std::string stored = asked.stored();
    if (stream->closed) {
      if (!stored.empty() || asked.producer) return refused(ErrorCode::kStreamClosed);
      touch(*stream, now);
      out.status = 204;
      return out;
    }
    if (!stored.empty() && asked.type != stream->type) {
      return refused(ErrorCode::kContentTypeMismatch);
    }
    if (asked.producer && asked.producer->seq != wanted) {
      if (new_epoch) return refused(ErrorCode::kNewEpochNotAtZero);
      out.expected_seq = wanted;
      return refused(ErrorCode::kSequenceGap);
    }
    if (asked.seq && stream->seq && *asked.seq <= *stream->seq) {
      return refused(ErrorCode::kSequenceRegression);
    }
    if (asked.at) {
      const Asked::At tail = stream->at(stream->tail());
      if (asked.at->life != tail.life || asked.at->position != tail.position) {
        return refused(ErrorCode::kPreconditionFailed);
      }
    }
    add_message(*stream, stored);
    stream->closed = asked.closes;
    if (asked.seq) stream->seq = asked.seq;
    touch(*stream, now);
    out.status = 204;
    if (asked.producer) {
      producer = &stream->producers[asked.producer->id];
      if (new_epoch) producer->ends.clear();
      producer->epoch = asked.producer->epoch;
      producer->ends.push_back(stream->tail());
      out.status = stored.empty() ? 204 : 200;
      out.producer_epoch = producer->epoch;
      out.producer_seq = asked.producer->seq;
    }
    out.closed = stream->closed;
    out.next = stream->at(stream->tail());
    return out;
  }

  Told remove(const Asked& asked) {
    const Stream* stream = find(asked.path);
    if (stream == nullptr) return refuse(ErrorCode::kNotFound);
    if (stream->soft) return refuse(ErrorCode::kStreamDeleted);
    take_away(asked.path);
    Told out;
    out.status = 204;
    return out;
  }

  Told head(const Asked& asked) {
    const Stream* stream = find(asked.path);
    if (stream == nullptr) return refuse(ErrorCode::kNotFound);
    if (stream->soft) return refuse(ErrorCode::kStreamDeleted);
    Told out;
    out.status = 200;
    out.closed = stream->closed;
    out.next = stream->at(stream->tail());
    return out;
  }

  Told read(const Asked& asked, Instant now) {
    const Stream* stream = find(asked.path);
    if (stream == nullptr) return refuse(ErrorCode::kNotFound);
    if (stream->soft) return refuse(ErrorCode::kStreamDeleted);
    const auto from = stream->find(asked.at.value_or(Asked::At{}));
    if (!from) return refuse(ErrorCode::kOffsetGone);
    touch(*stream, now);
    // Whole messages, up to the first end at or after the next multiple of the chunk size.
    uint64_t begin = stream->tail();
    uint64_t end = begin;
    uint64_t before = 0;
    bool began = false;
    for (const uint64_t message_end : stream->ends) {
      if (!began && message_end > *from) {
        began = true;
        begin = before;
      }
      before = message_end;
      end = message_end;
      if (began && message_end / chunk_ > begin / chunk_) break;
    }
    Told out;
    out.status = 200;
    out.next = stream->at(end);
    out.up_to_date = end == stream->tail();
    out.closed = out.up_to_date && stream->closed;
    std::string body = stream->content.substr(begin, end - begin);
    if (stream->json()) {
      if (!body.empty()) body.pop_back();
      body = "[" + body + "]";
    }
    out.body = body;
    return out;
  }

  uint64_t chunk_;
  std::shared_ptr<uint64_t> last_life_ = std::make_shared<uint64_t>(0);
  std::shared_ptr<std::map<uint64_t, Instant>> accessed_ =
      std::make_shared<std::map<uint64_t, Instant>>();
};

}  // namespace ds::engine::test
