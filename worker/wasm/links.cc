#include "worker/wasm/links.h"

#include <utility>
#include <vector>

#include "core/base/bytes.h"

namespace ds::worker {

namespace {

// Keys of facts: a letter and the 16 hexadecimal digits of the child's life.
constexpr char kChild = 'c';
constexpr char kRelease = 'u';

std::string key_of(char kind, Incarnation child) {
  std::string key(1, kind);
  for (int shift = 60; shift >= 0; shift -= 4) {
    key.push_back("0123456789abcdef"[(child.value >> shift) & 15]);
  }
  return key;
}

Incarnation child_of(std::string_view key) {
  uint64_t value = 0;
  for (const char c : key.substr(1)) {
    value = value << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return Incarnation{value};
}

}  // namespace

// --- The source's side --------------------------------------------------------------------------

void Links::put_child(Incarnation child, const Child& known) {
  std::string value;
  put(value, known.due.us);
  value.append(known.path);
  store_fact(host_, key_of(kChild, child), value);
}

std::optional<Links::Child> Links::child(Incarnation child) const {
  std::optional<Child> found;
  const std::string key = key_of(kChild, child);
  host_.read_facts(key, key, Host::Order::kAscending, [&](auto, std::string_view value) {
    ByteReader in(value);
    Child known;
    known.due = Instant{in.take<int64_t>()};
    known.path = in.take_bytes(in.left());
    found = std::move(known);
    return false;
  });
  return found;
}

void Links::note_child(Incarnation child, std::string_view path, Instant now) {
  const Instant due = now + options_.audit_after;
  put_child(child, Child{std::string(path), due});
  due_by(due);
}

bool Links::has_child(Incarnation child) const { return this->child(child).has_value(); }

void Links::forget_child(Incarnation child) { host_.erase_fact(key_of(kChild, child)); }

void Links::audit(Instant now, const Missing& missing) {
  std::vector<std::pair<Incarnation, std::string>> asked;
  host_.read_facts("c", "cg", Host::Order::kAscending,
                   [&](std::string_view key, std::string_view value) {
                     ByteReader in(value);
                     const Instant due{in.take<int64_t>()};
                     const Incarnation child = child_of(key);
                     if (due == kNever || calling_.count(child.value) > 0) return true;
                     if (due > now) {
                       due_by(due);
                     } else {
                       asked.emplace_back(child, in.take_bytes(in.left()));
                     }
                     return true;
                   });
  for (const auto& [child, path] : asked) {
    calling_.insert(child.value);
    due_by(now + options_.retry_after);
    calls_.peer(path, AskCall{child}, [this, child = child, missing](const PeerAnswer& answer) {
      calling_.erase(child.value);
      const auto* said = std::get_if<AskAnswer>(&answer);
      if (said == nullptr || said->existence == Existence::kNotYet) return;
      if (said->existence == Existence::kNo) return missing(child);
      std::optional<Child> known = this->child(child);
      if (!known) return;
      known->due = kNever;
      put_child(child, *known);
    });
  }
}

// --- The child's side ---------------------------------------------------------------------------

void Links::note_release(const stream::Unpin& unpin) {
  const auto source = sources_.find(unpin.source_path_hash);
  if (source == sources_.end()) return;
  std::string value;
  put(value, unpin.source.value);
  put(value, unpin.source_path_hash);
  value.append(source->second);
  store_fact(host_, key_of(kRelease, unpin.child), value);
  due_by(Instant{0});
}

void Links::release(Instant now) {
  std::vector<std::pair<stream::Unpin, std::string>> owed;
  host_.read_facts("u", "ug", Host::Order::kAscending,
                   [&](std::string_view key, std::string_view value) {
                     ByteReader in(value);
                     stream::Unpin unpin;
                     unpin.child = child_of(key);
                     unpin.source = Incarnation{in.take<uint64_t>()};
                     unpin.source_path_hash = in.take<uint64_t>();
                     owed.emplace_back(unpin, in.take_bytes(in.left()));
                     return true;
                   });
  due_ = kNever;
  for (const auto& [unpin, path] : owed) {
    due_by(now + options_.retry_after);
    if (!calling_.insert(unpin.child.value).second) continue;
    const Incarnation child = unpin.child;
    calls_.peer(path, UnpinCall{unpin}, [this, child](const PeerAnswer& answer) {
      calling_.erase(child.value);
      if (std::holds_alternative<Done>(answer)) host_.erase_fact(key_of(kRelease, child));
    });
  }
}

}  // namespace ds::worker
