#include "store/op_log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "core/base/crc32c.h"
#include "store/generation_files.h"
#include "store/log_format.h"
#include "store/payload_reader.h"
#include "store/recovery.h"

namespace ds::store {

using ports::IoError;
using ports::IoStatus;

namespace {

// Every generation keeps room for the frame that close() writes.
constexpr uint64_t kCloseBytes = frame_bytes(0);
// So much of the next generation's file, 1 / this, is filled before the log may be found faster:
// one large message is no pace.
constexpr uint64_t kFilledAtLeast = 16;

// Spreads a seed and a generation's number over 64 bits (the finalizer of splitmix64). Never 0.
uint64_t make_salt(uint64_t seed, uint32_t generation) {
  uint64_t x = seed + (uint64_t{generation} + 1) * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  x ^= x >> 31;
  return x != 0 ? x : 1;
}

uint64_t system_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

// A start that was cut short may have left files of generations that have been sealed. If they
// cannot be removed now they are next time.
void remove_before(ports::Directory& directory, uint32_t first_generation) {
  auto names = directory.list();
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::optional<uint32_t> generation = parse_generation_name(name);
    if (generation && *generation < first_generation) (void)directory.remove(name);
  }
}

class GenerationLog final : public OpLog {
 public:
  GenerationLog(ports::Directory& directory, const OpLogOptions& options)
      : directory_(directory),
        generation_bytes_(
            std::clamp(options.generation_bytes, kGenerationBytesMin, kGenerationBytesMax)),
        salt_seed_(options.salt_seed != 0 ? options.salt_seed : system_seed()),
        files_(directory),
        saves_space_(options.saves_space) {}

  // Goes on where the recovery ended.
  IoStatus start(RecoveredLog recovered) {
    next_file_ = std::move(recovered.next_file);
    next_bytes_ = recovered.next_bytes;
    next_reused_ = recovered.next_reused;
    next_ready_ = next_file_ != nullptr;
    first_generation_ = recovered.first_generation;
    current_generation_ = recovered.first_generation - 1;
    used_ = std::move(recovered.used);
    for (const auto& [generation, bytes] : used_) earlier_bytes_ += bytes;
    next_sequence_ = recovered.next_sequence;
    synced_through_ = next_sequence_ - 1;
    relaxed_marked_ = (recovered.last_flags & FrameHeader::kRelaxed) != 0 &&
                      recovered.position > kGenerationHeaderBytes;
    closed_cleanly_ = (recovered.last_flags & FrameHeader::kCleanClose) != 0;
    if (recovered.file == nullptr) return begin_generation(next_sequence_, 0);
    file_ = std::move(recovered.file);
    header_ = recovered.header;
    current_generation_ = header_.generation;
    current_file_bytes_ = header_.file_bytes;
    set_position(recovered.position);
    files_.put(header_.generation, file_);
    return {};
  }

  IoStatus append(std::span<const std::string_view> batches, bool relaxed,
                  std::span<LogPosition> begins) override {
    DS_ASSERT(begins.size() == batches.size());
    DS_ASSERT(!closed_);
    if (broken_) return IoError::kFailed;
    if (relaxed && !relaxed_marked_) {
      const IoStatus marked = mark_relaxed();
      if (!marked.ok()) return marked;
    }
    return write_frame(batches, relaxed ? FrameHeader::kRelaxed : 0, begins, Origin::kAppend);
  }

  IoStatus sync() override {
    const IoStatus synced = sync_file();
    if (synced.ok()) synced_unasked_ = 0;
    return synced;
  }

  bool broken() const override { return broken_; }

  IoStatus reopen_after_failure(uint64_t* kept_frames) override {
    *kept_frames = 0;
    const uint32_t generation = header_.generation;
    auto opened = directory_.open(generation_name(generation), ports::Directory::Open::kExisting);
    if (!opened.ok()) return opened.error();
    const std::shared_ptr<ports::File> fresh = std::move(opened).value();

    size_t kept = 0;
    const IoStatus rescued = rescue(*fresh, &kept);
    if (!rescued.ok()) return rescued;
    if (!unsynced_.empty()) {
      set_position(kept == 0 ? unsynced_[0].position
                             : unsynced_[kept - 1].position + unsynced_[kept - 1].bytes);
    }
    const uint64_t first_sequence = synced_through_ + kept + 1;
    const IoStatus begun = begin_generation(first_sequence, 0);
    if (!begun.ok()) return begun;

    files_.put(generation, fresh);
    unsynced_.resize(kept);
    *kept_frames = synced_unasked_ + count_appended();
    synced_unasked_ = 0;
    unsynced_.clear();
    next_sequence_ = first_sequence;
    synced_through_ = first_sequence - 1;
    relaxed_marked_ = false;
    closed_cleanly_ = false;
    broken_ = false;
    return {};
  }

  IoStatus rotate() override {
    if (broken_ || closed_) return IoError::kFailed;
    if (position_ <= kGenerationHeaderBytes) return {};
    const IoStatus synced = sync_file();
    if (!synced.ok()) return synced;
    return begin_generation(next_sequence_, 0);
  }

  IoStatus remove_through(uint32_t generation) override {
    const std::lock_guard lock(next_mutex_);
    DS_ASSERT(generation < current_generation_);
    while (first_generation_ <= generation) {
      const uint32_t oldest = first_generation_;
      std::shared_ptr<ports::File> file = files_.give_up_through(oldest);
      if (!keep_spare(oldest, std::move(file))) {
        const IoStatus removed = directory_.remove(generation_name(oldest));
        if (!removed.ok() && removed.error() != IoError::kNotFound) return removed;
      }
      const auto used = used_.find(oldest);
      if (used != used_.end()) {
        earlier_bytes_ -= used->second;
        used_.erase(used);
      }
      first_generation_ = oldest + 1;
    }
    return directory_.sync();
  }

  IoStatus close() override {
    if (closed_) return {};
    IoStatus status = sync();
    if (status.ok() && !closed_cleanly_) {
      status = write_frame({}, FrameHeader::kCleanClose, {}, Origin::kOwn);
      if (status.ok()) status = sync();
    }
    if (status.ok()) closed_ = true;
    return status;
  }

  IoStatus prepare_next_generation() override {
    const std::lock_guard lock(next_mutex_);
    return make_next_file(0);
  }

  bool wants_next_generation() const override {
    const uint64_t bytes =
        std::min(generation_bytes_, current_file_bytes_.load(std::memory_order_relaxed));
    return !next_ready_.load(std::memory_order_relaxed) &&
           position_.load(std::memory_order_relaxed) >= bytes / 4;
  }

  void save_space(bool on) override {
    saves_space_.store(on, std::memory_order_relaxed);
    if (!on) return;
    const std::lock_guard lock(next_mutex_);
    drop_spare();
  }

  IoStatus read_payloads(std::span<const Piece> pieces, std::string& out,
                         bool* corrupt) const override {
    return store::read_payloads(files_, pieces, out, corrupt);
  }

  Stats stats() const override {
    Stats stats;
    stats.bytes =
        earlier_bytes_.load(std::memory_order_relaxed) + position_.load(std::memory_order_relaxed);
    stats.current_bytes = position_.load(std::memory_order_relaxed) - kGenerationHeaderBytes;
    stats.first_generation = first_generation_.load(std::memory_order_relaxed);
    stats.last_generation = current_generation_.load(std::memory_order_relaxed);
    stats.generations = stats.last_generation - stats.first_generation + 1;
    return stats;
  }

 private:
  // Who asked for a frame: append(), or the log itself.
  enum class Origin : uint8_t { kAppend, kOwn };

  struct Unsynced {
    uint64_t position;
    uint64_t bytes;  // of the whole frame
    std::array<char, kFrameHeaderBytes> header;
    uint32_t payload_crc;
    Origin origin;
  };

  IoStatus sync_file() {
    if (broken_) return IoError::kFailed;
    if (unsynced_.empty()) return {};
    const IoStatus synced = file_->sync();
    if (!synced.ok()) {
      broken_ = true;
      return synced;
    }
    all_synced();
    return {};
  }

  void all_synced() {
    synced_unasked_ += count_appended();
    unsynced_.clear();
    synced_through_ = next_sequence_ - 1;
  }

  // How many of the unsynced frames append() was called for.
  uint64_t count_appended() const {
    uint64_t count = 0;
    for (const Unsynced& frame : unsynced_) count += frame.origin == Origin::kAppend ? 1 : 0;
    return count;
  }

  void set_position(uint64_t position) { position_.store(position, std::memory_order_relaxed); }

  // If a crash takes all relaxed frames of the generation away, this one must still tell that there
  // were some: those before may have been sealed, and their generations removed.
  IoStatus mark_relaxed() {
    const IoStatus marked = write_frame({}, FrameHeader::kRelaxed, {}, Origin::kOwn);
    return marked.ok() ? sync_file() : marked;
  }

  IoStatus write_frame(std::span<const std::string_view> batches, uint32_t flags,
                       std::span<LogPosition> begins, Origin origin) {
    uint64_t payload_bytes = 0;
    for (const std::string_view batch : batches) payload_bytes += batch.size();
    if (payload_bytes > kFramePayloadBytesMax) return IoError::kNoSpace;
    const uint64_t bytes = frame_bytes(payload_bytes);
    const uint64_t room = (flags & FrameHeader::kCleanClose) != 0 ? 0 : kCloseBytes;
    if (must_begin_ || position_ + bytes + room > header_.file_bytes) {
      IoStatus status = sync_file();
      const bool needs_mark = (flags & FrameHeader::kRelaxed) != 0 && !batches.empty();
      const uint64_t mark = needs_mark ? frame_bytes(0) : 0;
      if (status.ok()) status = begin_generation(next_sequence_, bytes + mark);
      if (status.ok() && needs_mark) status = mark_relaxed();
      if (!status.ok()) return status;
    }

    parts_.clear();
    parts_.emplace_back();
    uint32_t crc = 0;
    uint64_t at = position_ + kFrameHeaderBytes;
    for (size_t i = 0; i < batches.size(); ++i) {
      begins[i] = log_position(header_.generation, static_cast<uint32_t>(at));
      at += batches[i].size();
      crc = crc32c(batches[i], crc);
      parts_.push_back(batches[i]);
    }
    parts_.push_back(frame_padding(payload_bytes));
    crc = crc32c(parts_.back(), crc);

    FrameHeader header;
    header.salt = header_.salt;
    header.payload_crc = crc;
    header.payload_bytes = static_cast<uint32_t>(payload_bytes);
    header.flags = flags;
    header.sequence = next_sequence_;
    header.synced_through = synced_through_;
    header.generation = header_.generation;
    Unsynced& frame = unsynced_.emplace_back();
    frame.position = position_;
    frame.bytes = bytes;
    frame.payload_crc = crc;
    frame.origin = origin;
    encode_frame_header(header, frame.header.data());
    parts_[0] = {frame.header.data(), frame.header.size()};

    const IoStatus written = file_->write_at(position_, parts_);
    if (!written.ok()) return take_back_frame(written.error());
    set_position(position_ + bytes);
    ++next_sequence_;
    relaxed_marked_ = (flags & FrameHeader::kRelaxed) != 0;
    closed_cleanly_ = (flags & FrameHeader::kCleanClose) != 0;
    return {};
  }

  // A write failed, and any part of the frame may be there. A full disk (where overwriting takes
  // space, as on copy-on-write file systems) is a clean failure if the frame can be erased for
  // certain; everything else breaks the log.
  IoStatus take_back_frame(IoError error) {
    broken_ = true;
    if (error != IoError::kNoSpace) return error;
    static constexpr char kZeros[kFrameHeaderBytes] = {};
    const std::string_view zeros(kZeros, sizeof kZeros);
    IoStatus erased = file_->write_at(position_, {&zeros, 1});
    if (erased.ok()) erased = file_->sync();
    if (!erased.ok()) return IoError::kFailed;
    unsynced_.pop_back();
    all_synced();
    broken_ = false;
    return IoError::kNoSpace;
  }

  // Begins the next generation with room for a frame of `bytes`. Everything before
  // `first_sequence` must be durable. Its header is durable when this returns. A file that cannot
  // be made (no space, no descriptors) and kNoSpace leave the log as usable as before: the next
  // frame that needs a generation tries again. Other errors break it.
  IoStatus begin_generation(uint64_t first_sequence, uint64_t bytes) {
    waits_.store(true, std::memory_order_relaxed);
    const std::lock_guard lock(next_mutex_);
    waits_.store(false, std::memory_order_relaxed);
    IoStatus status = make_next_file(kGenerationHeaderBytes + bytes + kCloseBytes);
    if (!status.ok()) return status;
    GenerationHeader header;
    header.generation = current_generation_ + 1;
    header.first_sequence = first_sequence;
    header.salt = make_salt(salt_seed_, header.generation);
    header.file_bytes = next_bytes_;
    if (next_reused_) header.flags |= GenerationHeader::kReused;
    char encoded[kGenerationHeaderBytes];
    encode_generation_header(header, encoded);
    const std::string_view view(encoded, sizeof encoded);
    // Once the header may be on the disk no frame may follow in the generation before.
    must_begin_ = true;
    status = next_file_->write_at(0, {&view, 1});
    if (status.ok()) status = next_file_->sync();
    if (!status.ok()) {
      // The file is replaced by a new one in the next attempt.
      next_ready_ = false;
      next_file_.reset();
      if (status.error() != IoError::kNoSpace) broken_ = true;
      return status;
    }
    must_begin_ = false;
    relaxed_marked_ = false;
    header_ = header;
    file_ = std::move(next_file_);
    next_ready_ = false;
    files_.put(header_.generation, file_);
    if (current_generation_ >= first_generation_) used_[current_generation_] = position_;
    current_generation_ = header_.generation;
    current_file_bytes_ = header_.file_bytes;
    earlier_bytes_ += position_;
    set_position(kGenerationHeaderBytes);
    return {};
  }

  // Makes the next generation's file, or a larger one if the one that is there has no room for
  // `needed` bytes. Needs next_mutex_.
  IoStatus make_next_file(uint64_t needed) {
    if (next_file_ != nullptr && next_bytes_ >= needed) return {};
    const bool saves = saves_space_.load(std::memory_order_relaxed);
    const uint64_t usual =
        saves ? std::min(generation_bytes_, kSavingGenerationBytes) : generation_bytes_;
    const uint64_t bytes = std::max(usual, needed);
    next_ready_ = false;
    next_file_.reset();
    if (spare_ != nullptr && bytes == generation_bytes_) {
      const std::shared_ptr<ports::File> spare = std::move(spare_);
      const IoStatus reused = reuse_generation_file(directory_, *spare, current_generation_ + 1);
      if (!reused.ok()) return reused;
      next_file_ = spare;
      next_reused_ = true;
    } else {
      drop_spare();
      const uint64_t begun_at = position_.load(std::memory_order_relaxed);
      auto created = create_generation_file(
          directory_, current_generation_ + 1, bytes,
          [&](uint64_t filled) { return outpaces(begun_at, filled, bytes); });
      if (!created.ok()) return created.error();
      next_file_ = std::move(created).value();
      next_reused_ = false;
    }
    next_bytes_ = bytes;
    next_ready_ = true;
    return {};
  }

  // Whether the log waits for the next one's file, or will: it has used more of what its generation
  // had left at `begun_at` than has been filled of that since. Needs next_mutex_.
  bool outpaces(uint64_t begun_at, uint64_t filled, uint64_t bytes) const {
    if (filled < bytes / kFilledAtLeast) return false;
    if (waits_.load(std::memory_order_relaxed)) return true;
    const auto begun = static_cast<double>(begun_at);
    const double used = static_cast<double>(position_.load(std::memory_order_relaxed)) - begun;
    const double left =
        static_cast<double>(current_file_bytes_.load(std::memory_order_relaxed)) - begun;
    return used * static_cast<double>(bytes) > static_cast<double>(filled) * left;
  }

  // Keeps the file of a generation that is to be removed for the next one, as kUnfinishedName: its
  // blocks are allocated and its pages are in the system's memory, and it need not be filled with
  // zeros. False if it is not to be, or cannot be: others may still read it. Needs next_mutex_.
  bool keep_spare(uint32_t generation, std::shared_ptr<ports::File> file) {
    if (spare_ != nullptr || saves_space_.load(std::memory_order_relaxed)) return false;
    // Those that read it here share it; those that opened it themselves hold it.
    if (file == nullptr || file.use_count() != 1) return false;
    const auto size = file->size();
    if (!size.ok() || *size != generation_bytes_) return false;
    if (!file->take(ports::File::Hold::kAlone)) return false;
    if (!directory_.rename(generation_name(generation), kUnfinishedName).ok()) return false;
    spare_ = std::move(file);
    return true;
  }

  // Needs next_mutex_.
  void drop_spare() {
    if (spare_ == nullptr) return;
    spare_.reset();
    (void)directory_.remove(kUnfinishedName);  // otherwise the next start does it
  }

  // How many of the unsynced frames, from the oldest on, are wholly there; makes those durable.
  IoStatus rescue(ports::File& file, size_t* kept) {
    std::string bytes;
    size_t found = 0;
    for (; found < unsynced_.size(); ++found) {
      const Unsynced& frame = unsynced_[found];
      bytes.resize(frame.bytes);
      const auto got = file.read_at(frame.position, bytes.data(), bytes.size());
      if (!got.ok() || *got != bytes.size() || !is_frame(frame, bytes)) break;
      // The system may hold this in its cache, believe that it is on the disk, and be wrong.
      const std::string_view view = bytes;
      const IoStatus written = file.write_at(frame.position, {&view, 1});
      if (!written.ok()) return written;
    }
    if (found == 0) return {};
    const IoStatus synced = file.sync();
    if (!synced.ok()) return synced;
    for (; *kept < found; ++*kept) {
      const Unsynced& frame = unsynced_[*kept];
      bytes.resize(frame.bytes);
      const auto got = file.read_uncached(frame.position, bytes.data(), bytes.size());
      if (!got.ok() || *got != bytes.size() || !is_frame(frame, bytes)) break;
    }
    return {};
  }

  static bool is_frame(const Unsynced& frame, std::string_view bytes) {
    return bytes.starts_with(std::string_view(frame.header.data(), frame.header.size())) &&
           crc32c(bytes.substr(kFrameHeaderBytes)) == frame.payload_crc;
  }

  // Fixed after start().
  ports::Directory& directory_;
  const uint64_t generation_bytes_;
  const uint64_t salt_seed_;

  mutable GenerationFiles files_;  // any thread

  // Committer thread.
  std::shared_ptr<ports::File> file_;  // of the current generation
  GenerationHeader header_;            // of the current generation
  uint64_t next_sequence_ = 1;
  uint64_t synced_through_ = 0;
  std::vector<Unsynced> unsynced_;
  uint64_t synced_unasked_ = 0;  // append()'s frames that were synced since sync() last succeeded
  std::vector<std::string_view> parts_;  // kept for its memory
  bool broken_ = false;
  bool closed_ = false;
  bool closed_cleanly_ = false;  // the newest frame says so
  bool relaxed_marked_ = false;  // this generation has told that relaxed frames may have followed
  bool must_begin_ = false;      // nothing more may be appended to the current generation

  // Written by the committer thread (current_generation_ with next_mutex_ held), read by any.
  std::atomic<uint64_t> position_{0};  // where the next frame goes
  std::atomic<uint64_t> earlier_bytes_{0};
  std::atomic<uint32_t> current_generation_{0};
  std::atomic<uint64_t> current_file_bytes_{0};
  std::atomic<bool> waits_{false};  // for next_mutex_, to begin the next generation
  // Any thread.
  std::atomic<bool> saves_space_;

  // Written with next_mutex_ held, read by any.
  std::atomic<uint32_t> first_generation_{1};

  // Guarded by next_mutex_, as is every change of names in the directory.
  std::mutex next_mutex_;
  std::map<uint32_t, uint64_t> used_;  // bytes, of the generations before the current one
  std::shared_ptr<ports::File> next_file_;
  std::shared_ptr<ports::File> spare_;  // kUnfinishedName, of generation_bytes_, taken alone
  uint64_t next_bytes_ = 0;
  bool next_reused_ = false;
  std::atomic<bool> next_ready_{false};  // written with the mutex held
};

}  // namespace

Result<std::unique_ptr<OpLog>, LogProblem> OpLog::open(ports::Directory& directory,
                                                       const OpLogOptions& options,
                                                       const ReplayFn& replay, Recovery* recovery) {
  const IoStatus locked = directory.lock(kLockName);
  if (!locked.ok()) {
    const bool taken = locked.error() == IoError::kLocked;
    return LogProblem{
        taken ? LogProblem::Kind::kLocked : LogProblem::Kind::kIo,
        std::string("cannot lock the log's directory: ") + io_error_text(locked.error())};
  }
  *recovery = Recovery();
  auto recovered = recover(directory, options, replay, *recovery);
  if (!recovered.ok()) return recovered.error();
  remove_before(directory, options.first_generation);
  auto log = std::make_unique<GenerationLog>(directory, options);
  const IoStatus started = log->start(std::move(recovered).value());
  if (!started.ok()) {
    return LogProblem{LogProblem::Kind::kIo, std::string("cannot create the log's first file: ") +
                                                 io_error_text(started.error())};
  }
  return std::unique_ptr<OpLog>(std::move(log));
}

}  // namespace ds::store
