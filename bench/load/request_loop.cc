#include "bench/load/request_loop.h"

#include <string>

namespace ds::bench {

bool check_status(const ResponseHead& head, int wanted, WrongAnswers& wrong) {
  if (head.status == wanted) return true;
  wrong.add(Wrong::kStatus, std::to_string(head.status) + " instead of " + std::to_string(wanted));
  return false;
}

bool check_write(const ResponseHead& head, int wanted, bool plain, WrongAnswers& wrong) {
  if (plain && head.status >= 200 && head.status < 300) return true;
  if (!check_status(head, wanted, wrong)) return false;
  if (head.next_offset.empty()) wrong.add(Wrong::kHeader, "no Stream-Next-Offset");
  return true;
}

RequestLoop::RequestLoop(EventLoop& loop, const Endpoint& endpoint, uint32_t connections)
    : loop_(loop), slots_(connections) {
  Connection::Owner& owner = *this;
  free_.reserve(connections);
  for (uint32_t i = 0; i < connections; ++i) {
    slots_[i].connection = std::make_unique<Connection>(loop, endpoint, owner, i);
    slots_[i].connection->open();
  }
}

void RequestLoop::run_to_end(Workload& workload, int64_t patience_ns) {
  start(workload, 0);
  uint64_t seen = UINT64_MAX;
  while (!drained()) {
    if (seen == answers_) {
      give_up();
      break;
    }
    seen = answers_;
    loop_.run_until_done([this] { return drained(); }, now_ns() + patience_ns);
  }
  running_ = false;
}

void RequestLoop::start(Workload& workload, double rate) {
  workload_ = &workload;
  rate_ = rate;
  running_ = true;
  started_ = now_ns();
  next_due_ = 0;
  free_.clear();
  if (rate_ > 0) {
    for (auto i = static_cast<uint32_t>(slots_.size()); i-- > 0;) free_.push_back(i);
    arm_timer();
    return;
  }
  for (Slot& slot : slots_) send(slot, now_ns());
}

void RequestLoop::stop() {
  running_ = false;
  if (rate_ > 0) loop_.set_timer(kNeverNs, *this);
}

void RequestLoop::give_up() {
  wrong_.add(Wrong::kUnanswered, "no answer in time", under_way_);
  for (Slot& slot : slots_) {
    if (slot.busy) slot.connection->open();  // the old answer must not meet a later request
    slot.busy = false;
  }
  under_way_ = 0;
}

void RequestLoop::count_from_now() {
  counting_ = true;
  latency_.clear();
  body_bytes_ = 0;
}

int64_t RequestLoop::due_at(uint64_t number) const {
  return started_ + static_cast<int64_t>(static_cast<double>(number) / rate_ *
                                         static_cast<double>(kNsPerSecond));
}

uint64_t RequestLoop::overdue(int64_t now) const {
  if (rate_ <= 0) return 0;
  const double due = static_cast<double>(now - started_) / static_cast<double>(kNsPerSecond);
  const auto count = static_cast<uint64_t>(due * rate_);
  return count > next_due_ ? count - next_due_ : 0;
}

void RequestLoop::arm_timer() {
  if (running_ && !free_.empty()) loop_.set_timer(due_at(next_due_), *this);
}

void RequestLoop::on_timer(int64_t now) {
  while (!free_.empty() && due_at(next_due_) <= now) {
    Slot& slot = slots_[free_.back()];
    free_.pop_back();
    send(slot, due_at(next_due_++));
  }
  arm_timer();
}

void RequestLoop::go_on(Slot& slot, int64_t now) {
  if (!running_) return;
  if (rate_ <= 0) {
    send(slot, now);
    return;
  }
  if (due_at(next_due_) <= now) {
    send(slot, due_at(next_due_++));
    return;
  }
  free_.push_back(slot.connection->id());
  if (!loop_.timer_is_set()) arm_timer();
}

void RequestLoop::send(Slot& slot, int64_t since) {
  const std::string_view request = workload_->next_request(slot.connection->id());
  if (request.empty()) return;
  slot.since = since;
  slot.busy = true;
  ++under_way_;
  slot.connection->send(request);
}

void RequestLoop::on_response(Connection& connection, int64_t now) {
  Slot& slot = slots_[connection.id()];
  if (!slot.busy) {
    wrong_.add(Wrong::kMalformed, "an answer that nobody asked for");
    connection.open();
    return;
  }
  slot.busy = false;
  --under_way_;
  ++answers_;
  workload_->judge(connection.id(), connection.head(), connection.body_bytes(), wrong_);
  if (counting_) {
    latency_.record(now - slot.since);
    body_bytes_ += connection.body_bytes();
  }
  if (connection.head().connection_close) connection.open();
  go_on(slot, now);
}

void RequestLoop::on_end(Connection& connection, Connection::End why) {
  Slot& slot = slots_[connection.id()];
  connection.open();
  if (!slot.busy) return;  // idle connections may be closed at any time
  slot.busy = false;
  --under_way_;
  wrong_.add(why == Connection::End::kMalformed ? Wrong::kMalformed : Wrong::kClosed,
             "instead of an answer");
  go_on(slot, now_ns());
}

}  // namespace ds::bench
