// SPDX-License-Identifier: Apache-2.0
#include "services/server/key_rotation.h"

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "common/file.h"
#include "common/log.h"

namespace cloister::services {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kFileBytesMax = 4096;
constexpr mode_t kFileMode = 0600;
// What was sealed while the first pass ran may be under a former key; a pass that finds nothing ends it.
constexpr int kPassesMax = 10;

}  // namespace

KeyRotation::KeyRotation(KeyRotationParts parts) : parts_(std::move(parts)) {}

StatusOr<std::unique_ptr<KeyRotation>> KeyRotation::Open(KeyRotationParts parts) {
  std::unique_ptr<KeyRotation> rotation(new KeyRotation(std::move(parts)));
  CLOISTER_RETURN_IF_ERROR(rotation->Load());
  rotation->thread_ = std::thread([own = rotation.get()] { own->Run(); });
  return rotation;
}

KeyRotation::~KeyRotation() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

void KeyRotation::Stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

std::vector<std::string> KeyRotation::levels() const {
  std::vector<std::string> names;
  for (const auto& [name, keys] : parts_.levels) names.push_back(name);
  return names;
}

Status KeyRotation::Load() {
  const auto bytes = ReadFile(parts_.file, kFileBytesMax);
  if (bytes.status().code() == StatusCode::kNotFound) return absl::OkStatus();
  CLOISTER_RETURN_IF_ERROR(bytes.status());
  ByteReader in(*bytes);
  const uint8_t format = in.U8();
  if (!in.failed() && format != kFormat) {
    return FailedPrecondition("the file 'rotation' has format " + std::to_string(format) +
                              ", which this version does not know; use a newer one");
  }
  const uint8_t phase = in.U8();
  std::vector<std::string> wanted(in.Count(4));
  for (std::string& level : wanted) level = in.String();
  const Status read = in.Finish("the file 'rotation'");
  state_.running = true;
  state_.levels = levels();
  if (!read.ok() || phase < 1 || phase > 2) {
    LogStatus(LogLevel::kWarning, "keys.rotation_file_damaged", read);
    return absl::OkStatus();
  }
  phase_ = static_cast<Phase>(phase);
  std::erase_if(wanted, [&](const auto& level) { return !parts_.levels.contains(level); });
  state_.levels = std::move(wanted);
  return absl::OkStatus();
}

// The caller holds mutex_.
Status KeyRotation::WriteDown(Phase phase) {
  ByteWriter out;
  out.U8(kFormat);
  out.U8(static_cast<uint8_t>(phase));
  out.U32(static_cast<uint32_t>(state_.levels.size()));
  for (const std::string& level : state_.levels) out.String(level);
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(parts_.file, out.bytes(), kFileMode));
  phase_ = phase;
  return absl::OkStatus();
}

Status KeyRotation::Start(const std::vector<std::string>& wanted) {
  if (wanted.empty()) return InvalidArgument("a rotation needs at least one level");
  for (const std::string& level : wanted) {
    if (!parts_.levels.contains(level)) return InvalidArgument("this service has no keys of one of these levels");
  }
  std::lock_guard lock(mutex_);
  if (state_.running) return absl::OkStatus();
  State next;
  next.levels = wanted;
  std::sort(next.levels.begin(), next.levels.end());
  next.levels.erase(std::unique(next.levels.begin(), next.levels.end()), next.levels.end());
  std::swap(state_, next);
  const Status written = WriteDown(Phase::kReplacing);
  if (!written.ok()) {
    state_ = std::move(next);
    return written;
  }
  state_.running = true;
  changed_.notify_all();
  return absl::OkStatus();
}

KeyRotation::State KeyRotation::GetState() const {
  std::lock_guard lock(mutex_);
  return state_;
}

Status KeyRotation::GoOn() const {
  std::error_code error;
  const auto space = std::filesystem::space(parts_.file.parent_path(), error);
  if (!error && space.available < parts_.free_bytes_min) {
    return ResourceExhausted("the disk has less than " + std::to_string(parts_.free_bytes_min / (1024 * 1024)) +
                             " MiB left for keys to be rotated; free space, and it goes on by itself");
  }
  std::lock_guard lock(mutex_);
  return stopping_ ? Error(StatusCode::kCancelled, "the service stops") : absl::OkStatus();
}

void KeyRotation::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || state_.running; });
    if (stopping_) return;
    lock.unlock();
    const Status done = RunOnce();
    lock.lock();
    state_.problem = done.ok() ? "" : MessageOf(done);
    if (done.ok()) {
      state_.running = false;
      state_.finished_at = parts_.clock.Now();
      Log(LogLevel::kInfo, "keys.rotation_finished", {{"count", static_cast<int64_t>(state_.renewed)}});
      continue;
    }
    if (stopping_) return;
    LogStatus(LogLevel::kWarning, "keys.rotation_waits", done);
    changed_.wait_for(lock, parts_.retry, [this] { return stopping_; });
  }
}

Status KeyRotation::RunOnce() {
  std::lock_guard renewing(renewing_);
  Phase phase;
  std::vector<std::string> wanted;
  {
    std::lock_guard lock(mutex_);
    phase = phase_;
    wanted = state_.levels;
  }
  if (phase == Phase::kReplacing) {
    CLOISTER_RETURN_IF_ERROR(Replace(wanted));
    std::lock_guard lock(mutex_);
    CLOISTER_RETURN_IF_ERROR(WriteDown(Phase::kRenewing));
  }
  CLOISTER_RETURN_IF_ERROR(RenewAll().status());
  CLOISTER_RETURN_IF_ERROR(parts_.keys.NoteRenewed());
  std::error_code error;
  std::filesystem::remove(parts_.file, error);
  if (error) return ErrnoStatus(error.value(), "the file 'rotation'");
  return SyncDirectory(parts_.file.parent_path());
}

Status KeyRotation::Replace(const std::vector<std::string>& wanted) {
  for (const std::string& level : wanted) {
    CLOISTER_RETURN_IF_ERROR(GoOn());
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<KeyId> ids, parts_.levels.at(level)());
    for (size_t first = 0; first < ids.size(); first += storage::kKeysPerReplacementMax) {
      const size_t count = std::min<size_t>(storage::kKeysPerReplacementMax, ids.size() - first);
      const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(first);
      CLOISTER_RETURN_IF_ERROR(
          parts_.keys.ReplaceKeys({begin, begin + static_cast<std::ptrdiff_t>(count)}).status());
      std::lock_guard lock(mutex_);
      state_.replaced += count;
    }
  }
  return absl::OkStatus();
}

// renewing_ is held.
StatusOr<uint64_t> KeyRotation::RenewAll() {
  uint64_t all = 0;
  for (int pass = 0; pass < kPassesMax; ++pass) {
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t renewed, parts_.renew([this] { return GoOn(); }));
    if (renewed == 0) return all;
    all += renewed;
    std::lock_guard lock(mutex_);
    state_.renewed += renewed;
  }
  return Unavailable("something is sealed under a former key again and again; try again later");
}

StatusOr<KeyRotation::Ended> KeyRotation::EndFormerKeys() {
  const auto busy = [] {
    return FailedPrecondition("data keys are being rotated; wait for that to end, `cloister keys status` tells");
  };
  const std::unique_lock renewing(renewing_, std::try_to_lock);
  if (!renewing.owns_lock() || GetState().running) return busy();
  Ended ended;
  CLOISTER_ASSIGN_OR_RETURN(ended.renewed, RenewAll());
  // A backup made since the rotation may hold that, too.
  if (ended.renewed > 0) CLOISTER_RETURN_IF_ERROR(parts_.keys.NoteRenewed());
  CLOISTER_ASSIGN_OR_RETURN(ended.destruction, parts_.keys.DestroyFormerKeys());
  return ended;
}

}  // namespace cloister::services
