// SPDX-License-Identifier: Apache-2.0
#include "services/keys/key_records.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/bytes.h"
#include "common/file.h"
#include "common/log.h"
#include "crypto/random.h"

namespace cloister::services {
namespace {

using nlohmann::json;
using Steady = std::chrono::steady_clock;

constexpr int kFormat = 1;
constexpr size_t kFileBytesMax = 8 * 1024 * 1024;
constexpr size_t kEventIdBytes = 16;
constexpr std::chrono::milliseconds kRetryPause{5'000};

json ToJson(const v1::AppendRequest& record) {
  return {{"event", record.event()},
          {"body", record.body_json()},
          {"actor_kind", record.actor_kind()},
          {"actor", record.actor()}};
}

StatusOr<json> ReadState(const std::filesystem::path& file) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kFileBytesMax));
  json state = json::parse(text, nullptr, false);
  if (!state.is_object() || state.value("format", 0) != kFormat) return DataLoss("it cannot be read");
  return state;
}

}  // namespace

KeyRecords::KeyRecords(KeyRecordsOptions options, keyring::Keyring& keyring, const Clock& clock,
                       AppendRecord append)
    : options_(std::move(options)), keyring_(keyring), clock_(clock), append_(std::move(append)) {}

StatusOr<std::unique_ptr<KeyRecords>> KeyRecords::Open(KeyRecordsOptions options, keyring::Keyring& keyring,
                                                       const Clock& clock, AppendRecord append) {
  std::unique_ptr<KeyRecords> out(new KeyRecords(std::move(options), keyring, clock, std::move(append)));
  CLOISTER_RETURN_IF_ERROR(out->Load());
  if (out->append_) out->thread_ = std::thread([records = out.get()] { records->Run(); });
  return out;
}

KeyRecords::~KeyRecords() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  std::lock_guard lock(mutex_);
  // One that was never started, because its keyring is older, must not take its place.
  if (recorded_epoch_ == 0) return;
  CountLocked();
  SaveLocked();
}

Status KeyRecords::Load() {
  std::lock_guard lock(mutex_);
  const keyring::KeyringStatus now = keyring_.GetStatus();
  counts_.since_ns = clock_.Now().time_since_epoch().count();
  const auto state = ReadState(options_.file);
  if (!state.ok()) {
    // The counts since the last record are lost with it; the keys are not.
    if (state.status().code() != StatusCode::kNotFound) {
      LogStatus(LogLevel::kWarning, "keys.unrecorded_lost", state.status());
    }
    recorded_epoch_ = now.epoch;
    return absl::OkStatus();
  }
  CLOISTER_RETURN_IF_ERROR(CheckNotOlderThanLastRun(options_.file, now.generation));
  counts_ = {state->value("wrapped", uint64_t{0}), state->value("unwrapped", uint64_t{0}),
             state->value("sealed", uint64_t{0}), state->value("since_ns", counts_.since_ns)};
  dropped_ = state->value("dropped", uint64_t{0});
  for (const json& kept : state->value("records", json::array())) {
    v1::AppendRequest record;
    record.set_event(kept.value("event", ""));
    record.set_body_json(kept.value("body", "{}"));
    record.set_actor_kind(kept.value("actor_kind", "service"));
    record.set_actor(kept.value("actor", "keys"));
    pending_.push_back(std::move(record));
  }
  recorded_epoch_ = state->value("epoch", now.epoch);
  // A kill between a change and its record.
  if (recorded_epoch_ < now.epoch) AddLocked({"unknown", 0, "unknown", "service", "keys"});
  return absl::OkStatus();
}

void KeyRecords::Add(const KeyChange& change) {
  {
    std::lock_guard lock(mutex_);
    CountLocked();
    AddLocked(change);
    SaveLocked();
  }
  wake_.notify_all();
}

void KeyRecords::AddAccepted(const std::string& body_json, const std::string& actor) {
  {
    std::lock_guard lock(mutex_);
    PushLocked("freshness.accepted", body_json, "user", actor);
    SaveLocked();
  }
  wake_.notify_all();
}

void KeyRecords::AddLocked(const KeyChange& change) {
  const keyring::KeyringStatus now = keyring_.GetStatus();
  recorded_epoch_ = now.epoch;
  json body{{"level", change.level},
            {"epoch", now.epoch},
            {"generation", std::to_string(now.generation)},
            {"anchor", std::string(NameOf(now.anchor))},
            {"for_good", now.destroys_for_good ? 1 : 0},
            {"escrow", change.escrow}};
  if (change.destroyed > 0) body["count"] = change.destroyed;
  PushLocked(change.destroyed > 0 ? "key.destroyed" : "key.rotated", body.dump(), change.actor_kind,
             change.actor);
}

void KeyRecords::PushLocked(const std::string& event, const std::string& body, const std::string& kind,
                            const std::string& actor) {
  if (pending_.size() >= options_.records_max) {
    ++dropped_;
    Log(LogLevel::kError, "keys.record_dropped");
    return;
  }
  json whole = json::parse(body);
  whole["event_id"] = HexEncode(crypto::RandomBytes(kEventIdBytes));
  v1::AppendRequest record;
  record.set_event(event);
  record.set_body_json(whole.dump());
  record.set_actor_kind(kind);
  record.set_actor(actor);
  pending_.push_back(std::move(record));
}

void KeyRecords::CountLocked() {
  const keyring::EpochKeyUse use = keyring_.TakeUse();
  counts_.wrapped += use.wrapped;
  counts_.unwrapped += use.unwrapped;
  counts_.sealed += use.sealed;
}

void KeyRecords::RecordUseLocked() {
  if (!counts_.any() && dropped_ == 0) return;
  const int64_t now_ns = clock_.Now().time_since_epoch().count();
  const auto text = [](int64_t ns) { return FormatTime(WallTime(std::chrono::nanoseconds(ns))); };
  json body{{"wrapped", counts_.wrapped}, {"unwrapped", counts_.unwrapped},
            {"sealed", counts_.sealed},   {"since", text(counts_.since_ns)},
            {"until", text(now_ns)},      {"epoch", keyring_.GetStatus().epoch}};
  if (dropped_ > 0) body["records_dropped"] = dropped_;
  const size_t before = pending_.size();
  PushLocked("key.used", body.dump(), "service", "keys");
  if (pending_.size() == before) return;  // Full: the counts go on.
  counts_ = {0, 0, 0, now_ns};
  dropped_ = 0;
}

void KeyRecords::SaveLocked() {
  json records = json::array();
  for (const v1::AppendRequest& record : pending_) records.push_back(ToJson(record));
  const json state{{"format", kFormat},
                   {"generation", keyring_.generation()},
                   {"epoch", recorded_epoch_},
                   {"wrapped", counts_.wrapped},
                   {"unwrapped", counts_.unwrapped},
                   {"sealed", counts_.sealed},
                   {"since_ns", counts_.since_ns},
                   {"dropped", dropped_},
                   {"records", std::move(records)}};
  const Status status = WriteFileAtomic(options_.file, state.dump() + "\n", 0600);
  if (!status.ok()) LogStatus(LogLevel::kWarning, "keys.unrecorded_not_saved", status);
}

// Returns whether to go on with the next one at once.
bool KeyRecords::SendFirst(std::unique_lock<std::mutex>& lock) {
  const v1::AppendRequest record = pending_.front();
  lock.unlock();
  const Status status = append_(record);
  lock.lock();
  if (status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kDeadlineExceeded)
    return false;
  if (!status.ok()) LogStatus(LogLevel::kError, "keys.record_refused", status);
  pending_.pop_front();
  SaveLocked();
  return true;
}

void KeyRecords::Run() {
  Steady::time_point use_at = Steady::now() + options_.use_interval;
  Steady::time_point save_at = Steady::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (Steady::now() >= save_at) {
      save_at = Steady::now() + options_.save_interval;
      lock.unlock();
      if (options_.on_tick) options_.on_tick();
      lock.lock();
      CountLocked();
      if (Steady::now() >= use_at) {
        use_at = Steady::now() + options_.use_interval;
        RecordUseLocked();
      }
      SaveLocked();
    }
    if (stopping_) break;
    if (!pending_.empty() && SendFirst(lock)) continue;
    const Steady::time_point wake_at =
        pending_.empty() ? save_at : std::min(save_at, Steady::now() + kRetryPause);
    wake_.wait_until(lock, wake_at);
  }
}

Status CheckNotOlderThanLastRun(const std::filesystem::path& file, uint64_t generation) {
  const uint64_t last = LastGeneration(file);
  if (last <= generation) return absl::OkStatus();
  return FailedPrecondition(
      "the keyring (generation " + std::to_string(generation) +
      ") is older than the one this appliance last used (generation " + std::to_string(last) +
      "): an older file was put in its place. Put the newer one back, or move this one away and "
      "run `cloister keys recover`");
}

uint64_t LastGeneration(const std::filesystem::path& file) {
  const auto state = ReadState(file);
  return state.ok() ? state->value("generation", uint64_t{0}) : 0;
}

std::filesystem::path UnrecordedPath(const std::filesystem::path& data_directory) {
  return data_directory / "keys" / "unrecorded";
}

}  // namespace cloister::services
