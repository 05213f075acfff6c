#include "tests/sim/model.h"

#include <algorithm>

#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "tests/sim/violation.h"

namespace ds::sim {

namespace {

std::string name_of(const Stream& stream) {
  return stream.path + " (" + std::to_string(stream.id) + ")";
}

}  // namespace

std::string content_type(Kind kind) {
  return kind == Kind::kText   ? "text/plain"
         : kind == Kind::kJson ? "application/json"
                               : "application/octet-stream";
}

Payload& Model::make_payload(const std::string& path, uint64_t elements, uint64_t size) {
  Payload payload;
  payload.tag = ++last_tag_;
  payload.path = path;
  const std::string tag = std::to_string(payload.tag);
  const auto fill = static_cast<size_t>(size);
  if (kind_ == Kind::kJson) {
    for (uint64_t i = 0; i < elements; ++i) {
      const std::string value = "{\"t\":" + tag + ",\"i\":" + std::to_string(i) + ",\"p\":\"" +
                                std::string(fill, static_cast<char>('a' + i % 26)) + "\"}";
      payload.stored += value + ",";
      payload.body += (i == 0 ? "[" : ",") + value;
    }
    payload.body += "]";
  } else {
    payload.stored = "<" + tag + ":" + std::string(fill, 'x') + ">";
    payload.body = payload.stored;
  }
  return payloads_[payload.tag] = payload;
}

void Model::done(uint64_t tag, uint64_t stream, uint64_t end) {
  Payload& payload = payloads_.at(tag);
  const auto [entry, is_new] = payload.done.emplace(stream, end);
  require(entry->second == end, "write " + std::to_string(tag) + " was answered with offset " +
                                    std::to_string(entry->second) + " and then with " +
                                    std::to_string(end));
  if (is_new) streams_.at(stream).ends.push_back(end);
  const auto seen = payload.seen.find(stream);
  require(seen == payload.seen.end() || seen->second == end,
          "write " + std::to_string(tag) + " was answered with another offset than it has");
}

void Model::note_records(std::string_view records) {
  while (!records.empty()) {
    const auto size = stream::peek_record_size(records);
    require(size && *size <= records.size(), "a batch does not consist of records");
    const auto op = stream::decode_record(records.substr(0, *size));
    require(op.has_value(), "a record that cannot be read");
    records.remove_prefix(*size);
    if (op->type == stream::OpType::kTrim) note_trim(*op);
    if (op->type == stream::OpType::kCreate) {
      const auto known = streams_.find(op->stream.value);
      if (known != streams_.end() && !known->second.presumed) continue;
      Stream& stream = presume(op->stream.value, std::string(op->create->path));
      stream.presumed = false;
      stream.begin = op->position.value;
      stream.tail = std::max(stream.tail, stream.begin);
      if (op->create->fork) stream.source = op->create->fork->source.value;
      if (op->create->ttl_seconds) {
        stream.ttl_us = static_cast<int64_t>(*op->create->ttl_seconds) * 1000000;
      }
      stream.retention = op->create->retention;
      if (op->earliest) stream.trims.insert(op->earliest->value);
    }
    const auto written = streams_.find(op->stream.value);
    if (!op->payload.empty() && written != streams_.end()) {
      written->second.written[op->end().value] = op->time;
    }
  }
}

Stream& Model::presume(uint64_t id, const std::string& path) {
  const auto [found, is_new] = streams_.try_emplace(id);
  if (is_new) {
    found->second.id = id;
    found->second.path = path;
    found->second.presumed = true;
    by_path_[path].push_back(id);
  }
  return found->second;
}

// Whole extents go: all of what is dropped is too old, or more than enough is left behind it.
void Model::note_trim(const stream::Op& op) {
  Stream& stream = streams_.at(op.stream.value);
  const uint64_t end = op.earliest->value;
  const std::string what =
      "retention drops what is before " + std::to_string(end) + " of " + name_of(stream);
  const uint64_t tail = stream.written.empty() ? stream.begin : stream.written.rbegin()->first;
  const auto& [max_age_seconds, max_bytes] = stream.retention;
  const bool enough_left = max_bytes && end <= tail && tail - end >= *max_bytes;
  const auto last = stream.written.find(end);
  constexpr int64_t kRounding = 1000;  // segments hold milliseconds
  const bool too_old =
      max_age_seconds && last != stream.written.end() &&
      last->second.us + static_cast<int64_t>(*max_age_seconds) * 1000000 <= op.time.us + kRounding;
  require(enough_left || too_old, what + ", which is to be kept");
  require(last != stream.written.end() || end == stream.begin, what + ", which is no message end");
  stream.trims.insert(end);
}

Stream* Model::find(uint64_t id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

uint64_t Model::life_at(const Stream& stream, uint64_t position) {
  const Stream* at = &stream;
  while (at->source != 0 && position <= at->begin) at = &streams_.at(at->source);
  return at->id;
}

Offset Model::offset_at(const Stream& stream, uint64_t position) {
  return {Incarnation{life_at(stream, position)}, Position{position}};
}

Stream* Model::identify(const std::string& path, Offset offset) {
  Stream* only = nullptr;
  for (Stream* stream : at_path(path)) {
    if (life_at(*stream, offset.position.value) != offset.life.value) continue;
    if (only != nullptr) return nullptr;
    only = stream;
  }
  return only;
}

std::vector<Stream*> Model::at_path(const std::string& path) {
  std::vector<Stream*> all;
  for (const uint64_t id : by_path_[path]) all.push_back(&streams_.at(id));
  return all;
}

std::vector<uint64_t> Model::ends(const Stream& stream) {
  std::vector<uint64_t> all = stream.ends;
  uint64_t limit = stream.begin;
  all.push_back(limit);
  for (const Stream* at = &stream; at->source != 0;) {
    at = &streams_.at(at->source);
    for (const uint64_t end : at->ends) {
      if (end <= limit) all.push_back(end);
    }
    limit = std::min(limit, at->begin);
    all.push_back(limit);
  }
  return all;
}

void Model::observe(Stream& stream, uint64_t position, std::string_view bytes) {
  Stream* owner = &stream;
  while (!bytes.empty()) {
    owner = &stream;
    uint64_t until = UINT64_MAX;
    while (owner->source != 0 && position < owner->begin) {
      until = std::min(until, owner->begin);
      owner = &streams_.at(owner->source);
    }
    const auto take = static_cast<size_t>(std::min<uint64_t>(bytes.size(), until - position));
    const auto at = static_cast<size_t>(position - owner->begin);
    if (owner->bytes.size() < at + take) {
      owner->bytes.resize(at + take);
      owner->known.resize(at + take);
    }
    for (size_t i = 0; i < take; ++i) {
      require(!owner->known[at + i] || owner->bytes[at + i] == bytes[i],
              "what a reader of " + name_of(stream) + " saw at " + std::to_string(position + i) +
                  " has changed");
      owner->known[at + i] = true;
      owner->bytes[at + i] = bytes[i];
    }
    position += take;
    bytes.remove_prefix(take);
  }
}

void Model::check_content(Stream& stream, uint64_t begin, const std::string& content) {
  const std::string name = name_of(stream);
  require(begin + content.size() >= stream.begin,
          name + " is shorter than what it was forked from");
  size_t at = begin < stream.begin ? stream.begin - begin : 0;
  const std::string_view mark = kind_ == Kind::kJson ? "{\"t\":" : "<";
  std::map<uint64_t, uint64_t> found;
  while (at < content.size()) {
    require(content.compare(at, mark.size(), mark) == 0,
            name + " holds something at " + std::to_string(begin + at) + " that nobody wrote");
    const uint64_t tag = std::strtoull(content.c_str() + at + mark.size(), nullptr, 10);
    const auto known = payloads_.find(tag);
    require(known != payloads_.end() && known->second.path == stream.path,
            name + " holds something that nobody wrote to it");
    Payload& payload = known->second;
    const std::string which = "write " + std::to_string(tag) + " to " + name;
    require(content.compare(at, payload.stored.size(), payload.stored) == 0,
            which + " is not there as it was written");
    at += payload.stored.size();
    const uint64_t end = begin + at;
    require(found.emplace(tag, end).second, which + " is there twice");
    const auto done = payload.done.find(stream.id);
    require(done == payload.done.end() || done->second == end,
            which + " is not where it was answered");
    const auto seen = payload.seen.find(stream.id);
    require(seen == payload.seen.end() || seen->second == end, which + " has moved");
    require(done != payload.done.end() || seen != payload.seen.end() || payload.open > 0,
            which + " was refused and is there");
    payload.seen[stream.id] = end;
  }
  for (const auto& [tag, payload] : payloads_) {
    if (payload.path != stream.path || payload.stored.empty()) continue;
    const auto is_known = [&](const std::map<uint64_t, uint64_t>& ends) {
      const auto end = ends.find(stream.id);
      return end != ends.end() && end->second > begin;  // what is before has been dropped
    };
    require(found.count(tag) > 0 || (!is_known(payload.done) && !is_known(payload.seen)),
            "write " + std::to_string(tag) + " to " + name + " was answered, or seen, and is lost");
  }
}

}  // namespace ds::sim
