// SPDX-License-Identifier: Apache-2.0
#include "services/server/freshness_watch.h"

#include <utility>

#include "common/log.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

constexpr std::chrono::milliseconds kKeysTimeout{10'000};

}  // namespace

FreshnessWatch::FreshnessWatch(const std::shared_ptr<grpc::Channel>& keys, FreshnessParts parts)
    : parts_(std::move(parts)), keys_(v1::Keys::NewStub(keys)) {}

StatusOr<std::unique_ptr<FreshnessWatch>> FreshnessWatch::Compare(const std::shared_ptr<grpc::Channel>& keys,
                                                                  FreshnessParts parts) {
  std::unique_ptr<FreshnessWatch> out(new FreshnessWatch(keys, std::move(parts)));
  CLOISTER_RETURN_IF_ERROR(out->CheckStated());
  // Keys compares databases, and the log by its length: in one place, in one wording.
  CLOISTER_RETURN_IF_ERROR(out->Note());
  return out;
}

void FreshnessWatch::Start() {
  thread_ = std::thread([this] { Run(); });
}

FreshnessWatch::~FreshnessWatch() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

// A database that was stated and is no longer among the service's own is missed, too.
Status FreshnessWatch::CheckStated() const {
  grpc::ClientContext context;
  SetDeadline(context, kKeysTimeout);
  v1::Freshness stated;
  CLOISTER_RETURN_IF_ERROR(FromGrpc(keys_->GetFreshness(&context, {}, &stated)));
  for (const v1::StoreFreshness& store : stated.stores()) {
    if (!parts_.stores.contains(store.name())) {
      return FailedPrecondition("this version keeps no database named " + store.name() +
                                ", which there was before");
    }
  }
  if (!stated.has_log() || !parts_.check_log) return absl::OkStatus();
  const Status goes_on = parts_.check_log(stated.log());
  if (goes_on.code() != StatusCode::kFailedPrecondition) return goes_on;
  return FailedPrecondition(MessageOf(goes_on) + std::string(kOlderStateRemedy));
}

Status FreshnessWatch::Note() {
  v1::NoteFreshnessRequest request;
  for (const auto& [name, store] : parts_.stores) {
    v1::StoreFreshness& wire = *request.add_stores();
    wire.set_name(name);
    wire.set_database_id(std::string(store.database.bytes()));
    wire.set_commit_sequence(store.commit_sequence());
  }
  if (parts_.log) {
    CLOISTER_ASSIGN_OR_RETURN(*request.mutable_log(), parts_.log());
  }
  const std::string bytes = request.SerializeAsString();
  if (bytes == noted_) return absl::OkStatus();
  grpc::ClientContext context;
  SetDeadline(context, kKeysTimeout);
  v1::NoteFreshnessResponse response;
  CLOISTER_RETURN_IF_ERROR(FromGrpc(keys_->NoteFreshness(&context, request, &response)));
  noted_ = bytes;
  return absl::OkStatus();
}

void FreshnessWatch::Run() {
  std::unique_lock lock(mutex_);
  for (bool last = false; !last;) {
    changed_.wait_for(lock, parts_.interval, [this] { return stopping_; });
    last = stopping_;
    lock.unlock();
    const Status status = Note();
    if (!status.ok()) LogStatus(LogLevel::kWarning, "freshness.not_stated", status);
    lock.lock();
  }
}

}  // namespace cloister::services
