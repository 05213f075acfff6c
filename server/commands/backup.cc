#include "server/commands/backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <vector>

#include "core/segment/format.h"
#include "core/wire/text.h"
#include "server/posix_file.h"
#include "store/backup.h"
#include "store/log_format.h"
#include "store/recovery.h"
#include "store/sealed_reader.h"

namespace ds::server {
namespace {

namespace fs = std::filesystem;
using ports::Directory;
using ports::IoError;
using ports::IoStatus;

constexpr const char* kManifest = "backup.json";
constexpr const char* kManifestNew = "backup.json.tmp";
constexpr std::string_view kCompleteText = "{\"durable_streams_backup\":1,\"complete\":true";
constexpr std::string_view kIncompleteText = "{\"durable_streams_backup\":1,\"complete\":false";
// A server seals, merges and removes meanwhile. What has been copied is not copied again, so each
// try has less to do.
constexpr int kTriesMax = 100;
constexpr uint64_t kCopyBytes = 1 << 20;

enum class Found : uint8_t { kNothing, kComplete, kIncomplete, kForeign };

Found manifest_in(const std::string& directory) {
  std::ifstream file(directory + "/" + kManifest, std::ios::binary);
  if (!file) return Found::kNothing;
  std::string text(kIncompleteText.size(), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text == kIncompleteText) return Found::kIncomplete;
  return std::string_view(text).substr(0, kCompleteText.size()) == kCompleteText ? Found::kComplete
                                                                                 : Found::kForeign;
}

// Nothing, or what stops the backup.
using Failure = std::optional<std::string>;

std::string cannot(const std::string& what, IoError error) {
  return "cannot " + what + ": " + store::io_error_text(error);
}

std::string cannot(const std::string& what, const std::error_code& error) {
  return "cannot " + what + ": " + error.message();
}

// What a backup leaves that was killed before its manifest was there counts as nothing.
bool holds_nothing(const std::string& directory) {
  std::error_code error;
  if (!fs::exists(directory, error)) return true;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name != "LOCK" && name != kManifestNew) return false;
  }
  return !error;
}

class Backup {
 public:
  explicit Backup(const BackupRequest& request) : request_(request) {}

  Failure run() {
    Failure failure = open();
    if (!failure) failure = collect();
    if (!failure) failure = put_in_place();
    if (!failure) failure = remove_what_is_left();
    return failure;
  }

  std::string summary() const {
    return std::to_string(catalog_.segments.size()) + " segments (" + std::to_string(linked_) +
           " linked, " + std::to_string(copied_) + " copied now), " + std::to_string(log_.size()) +
           " generations of the log, sealed through " + std::to_string(catalog_.sealed_through);
  }

 private:
  std::string to(const std::string& name) const { return request_.to + "/" + name; }

  Failure open() {
    auto source = open_posix_directory_read_only(request_.data_dir);
    if (!source.ok()) return cannot("open " + request_.data_dir, source.error());
    source_ = std::move(*source);
    // Held to the end if it can be had: no server starts meanwhile.
    alone_ = source_->lock("LOCK").ok();
    auto log = source_->subdirectory("log");
    auto segments = source_->subdirectory("segments");
    if (!log.ok() || !segments.ok()) return request_.data_dir + " is not a data directory";
    source_log_ = std::move(*log);
    source_segments_ = std::move(*segments);

    const Found found = manifest_in(request_.to);
    const bool empty = holds_nothing(request_.to);
    if (found == Found::kForeign || (found == Found::kNothing && !empty)) {
      return request_.to + " is not empty and holds no backup: nothing was changed";
    }
    auto target = open_posix_directory(request_.to);
    if (!target.ok()) return cannot("open " + request_.to, target.error());
    target_ = std::move(*target);
    const IoStatus locked = target_->lock("LOCK");
    if (!locked.ok()) return cannot("lock " + request_.to, locked.error());
    if (empty) {
      const Failure begun = write_manifest(false);
      if (begun) return begun;
    }
    auto target_segments = target_->subdirectory("segments");
    if (!target_segments.ok()) return cannot("make " + to("segments"), target_segments.error());
    target_segments_ = std::move(*target_segments);
    return std::nullopt;
  }

  // The catalog first, then the segments that it names, then all generations that it does not
  // cover. If any of these has gone meanwhile, a newer catalog says where its contents are.
  Failure collect() {
    for (int tries = 0; tries < kTriesMax; ++tries) {
      auto catalog =
          store::copy_catalog(request_.data_dir + "/catalog.db", alone_, to("catalog.db.tmp"));
      if (!catalog.ok()) return "cannot copy the catalog: " + catalog.error().message;
      catalog_ = std::move(*catalog);
      request_.between();
      bool gone = false;
      for (const store::CatalogSegment& segment : catalog_.segments) {
        const Failure failure = take_segment(segment, &gone);
        if (failure) return failure;
      }
      const IoStatus synced = target_segments_->sync();
      if (!synced.ok()) return cannot("sync " + to("segments"), synced.error());
      request_.between();
      if (gone) continue;
      std::error_code error;
      fs::remove_all(to("log.new"), error);
      if (error) return cannot("remove " + to("log.new"), error);
      const auto log = target_->subdirectory("log.new");
      if (!log.ok()) return cannot("make " + to("log.new"), log.error());
      auto copied = store::copy_log(*source_log_, catalog_.sealed_through, **log);
      if (!copied.ok()) return "cannot copy the log: " + copied.error().message;
      if (!*copied) continue;
      log_ = std::move(**copied);
      return std::nullopt;
    }
    return "segments or generations of the log are missing, or come and go too fast: is " +
           request_.data_dir + " intact?";
  }

  // --- Segments ---------------------------------------------------------------------------------

  Failure take_segment(const store::CatalogSegment& segment, bool* gone) {
    const std::string name = store::segment_name(segment.id);
    const std::string from = request_.data_dir + "/segments/" + name;
    const std::string copy = to("segments/" + name);
    std::error_code error;
    if (fs::exists(copy, error)) {
      if (fs::equivalent(from, copy, error)) return std::nullopt;
      if (same_segment(from, copy, segment.bytes)) return std::nullopt;
      // Of another life of the directory, or half a copy.
      if (::unlink(copy.c_str()) != 0) return cannot("remove " + copy, last_error());
    }
    if (::link(from.c_str(), copy.c_str()) == 0) {
      ++linked_;
      return std::nullopt;
    }
    if (errno == ENOENT) {
      *gone = true;
      return std::nullopt;
    }
    return copy_segment(name, gone);
  }

  static std::error_code last_error() { return {errno, std::generic_category()}; }

  // Trailers hold a checksum over the heads, and these over all data.
  static bool same_segment(const std::string& a, const std::string& b, uint64_t bytes) {
    std::string trailers[2];
    for (size_t i = 0; i < 2; ++i) {
      const auto file = open_posix_file(i == 0 ? a : b);
      if (!file.ok()) return false;
      const auto size = (*file)->size();
      if (!size.ok() || *size != bytes || bytes < segment::kTrailerBytes) return false;
      trailers[i].resize(segment::kTrailerBytes);
      const auto got =
          (*file)->read_at(bytes - segment::kTrailerBytes, trailers[i].data(), trailers[i].size());
      if (!got.ok() || *got != trailers[i].size()) return false;
    }
    return trailers[0] == trailers[1];
  }

  Failure copy_segment(const std::string& name, bool* gone) {
    const auto from = source_segments_->open(name, Directory::Open::kExisting);
    if (!from.ok()) {
      *gone = from.error() == IoError::kNotFound;
      return *gone ? Failure() : cannot("open segments/" + name, from.error());
    }
    constexpr const char* kUnfinished = "unfinished.tmp";
    std::error_code ignored;
    fs::remove(to(std::string("segments/") + kUnfinished), ignored);
    const auto copy = target_segments_->open(kUnfinished, Directory::Open::kCreateNew);
    if (!copy.ok()) return cannot("write segments/" + name, copy.error());
    std::string step(kCopyBytes, '\0');
    for (uint64_t at = 0;;) {
      const auto got = (*from)->read_at(at, step.data(), step.size());
      if (!got.ok()) return cannot("read segments/" + name, got.error());
      if (*got == 0) break;
      const std::string_view part(step.data(), *got);
      const IoStatus written = (*copy)->write_at(at, {&part, 1});
      if (!written.ok()) return cannot("write segments/" + name, written.error());
      at += *got;
    }
    IoStatus status = (*copy)->sync();
    if (status.ok()) status = target_segments_->rename(kUnfinished, name);
    if (!status.ok()) return cannot("write segments/" + name, status.error());
    ++copied_;
    return std::nullopt;
  }

  // --- The end ----------------------------------------------------------------------------------

  // A few renames, between a manifest that says that it is not complete and one that says it is.
  Failure put_in_place() {
    Failure failure = write_manifest(false);
    if (failure) return failure;
    std::error_code error;
    fs::remove_all(to("log.old"), error);
    for (const char* stale : {"catalog.db-wal", "catalog.db-shm"}) fs::remove(to(stale), error);
    IoStatus status;
    if (fs::exists(to("log"), error)) status = target_->rename("log", "log.old");
    if (status.ok()) status = target_->rename("log.new", "log");
    if (status.ok()) status = target_->rename("catalog.db.tmp", "catalog.db");
    if (status.ok()) status = target_->sync();
    if (!status.ok()) return cannot("put the new files in place", status.error());
    return write_manifest(true);
  }

  Failure write_manifest(bool complete) {
    std::string text(complete ? kCompleteText : kIncompleteText);
    if (complete) {
      const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
          std::chrono::system_clock::now().time_since_epoch());
      text += ",\n \"version\":\"" + request_.version + "\",\"time\":\"";
      wire::append_rfc3339(text, Instant{now.count()});
      text += "\",\"sealed_through\":" + std::to_string(catalog_.sealed_through);
      text += ",\n \"files\":[\n  {\"name\":\"catalog.db\"}";
      const auto add = [&text](const std::string& name, uint64_t bytes) {
        text += ",\n  {\"name\":\"" + name + "\",\"bytes\":" + std::to_string(bytes) + "}";
      };
      for (const store::GenerationCopy& each : log_) {
        add("log/" + store::generation_name(each.generation), each.bytes);
      }
      for (const store::CatalogSegment& each : catalog_.segments) {
        add("segments/" + store::segment_name(each.id), each.bytes);
      }
      text += "]";
    }
    text += "}\n";
    std::error_code ignored;
    fs::remove(to(kManifestNew), ignored);
    const auto file = target_->open(kManifestNew, Directory::Open::kCreateNew);
    if (!file.ok()) return cannot("write the manifest", file.error());
    const std::string_view bytes = text;
    IoStatus status = (*file)->write_at(0, {&bytes, 1});
    if (status.ok()) status = (*file)->sync();
    if (status.ok()) status = target_->rename(kManifestNew, kManifest);
    if (status.ok()) status = target_->sync();
    return status.ok() ? Failure() : cannot("write the manifest", status.error());
  }

  Failure remove_what_is_left() {
    std::error_code error;
    fs::remove_all(to("log.old"), error);
    std::set<std::string> wanted;
    for (const auto& segment : catalog_.segments) wanted.insert(store::segment_name(segment.id));
    const auto names = target_segments_->list();
    if (!names.ok()) return cannot("list " + to("segments"), names.error());
    for (const std::string& name : *names) {
      if (!store::parse_segment_name(name) || wanted.count(name) != 0) continue;
      const IoStatus removed = target_segments_->remove(name);
      if (!removed.ok()) return cannot("remove segments/" + name, removed.error());
    }
    return std::nullopt;
  }

  const BackupRequest& request_;
  bool alone_ = false;
  std::unique_ptr<Directory> source_;
  std::unique_ptr<Directory> source_log_;
  std::unique_ptr<Directory> source_segments_;
  std::unique_ptr<Directory> target_;
  std::unique_ptr<Directory> target_segments_;
  store::CatalogCopy catalog_;
  std::vector<store::GenerationCopy> log_;
  uint64_t linked_ = 0;
  uint64_t copied_ = 0;
};

}  // namespace

int back_up(const BackupRequest& request, const Print& out, const Print& error) {
  Backup backup(request);
  const Failure failure = backup.run();
  if (failure) {
    error("durable-streams: backup: " + *failure + "\n");
    return 1;
  }
  out("backup of " + request.data_dir + " in " + request.to + ": " + backup.summary() + "\n");
  return 0;
}

std::string claim_backup(const std::string& data_dir) {
  switch (manifest_in(data_dir)) {
    case Found::kNothing:
    case Found::kForeign:
      return "";
    case Found::kIncomplete:
      return data_dir + " holds a backup that was not finished: run the backup again";
    case Found::kComplete:
      break;
  }
  const auto directory = open_posix_directory(data_dir);
  if (!directory.ok()) return cannot("open " + data_dir, directory.error());
  IoStatus status = (*directory)->remove(kManifest);
  if (status.ok()) status = (*directory)->sync();
  return status.ok() ? "" : cannot("make the backup a data directory", status.error());
}

}  // namespace ds::server
