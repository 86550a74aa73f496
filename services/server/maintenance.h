// SPDX-License-Identifier: Apache-2.0
// The Maintenance RPC service: copies of a service's databases, and of the log, in a folder that a backup
// reads, examinations of what it stores, and rotation of its data keys. Does not copy anything anywhere else,
// and knows neither RocksDB nor the log: its owner gives it the functions. Thread-safe; one copy and one
// examination at a time; blocks on the disk.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cloister/v1/maintenance.grpc.pb.h"
#include "common/id.h"
#include "common/status.h"
#include "services/server/key_rotation.h"
#include "services/server/rpc_server.h"
#include "storage/examination.h"

namespace cloister::services {

inline constexpr std::string_view kCheckpointsFolder = "checkpoints";

struct MaintenanceParts {
  std::filesystem::path directory;  // DATA/<service>; there already.
  // Each makes the folder it is given. By the name of the database's folder in `directory`, and of the
  // copy's.
  using StoreCopier = std::function<StatusOr<uint64_t>(const std::filesystem::path& folder)>;
  struct Store {
    DatabaseId database;
    StoreCopier copy;  // Returns the commit sequence.
  };
  std::map<std::string, Store> stores;
  // What else the service keeps, into the copy's folder, which is there. May be empty.
  std::function<StatusOr<v1::LogCheckpoint>(const std::filesystem::path& folder)> log;
  // Reads everything that the service stores. May be empty: the service examines nothing. What it found
  // before an error counts. Errors: kCancelled, kUnavailable.
  std::function<Status(const storage::ExaminationOptions& options, storage::Examination& found)> examine;
  // May be null: the service's keys are not rotated. Must outlive the service.
  KeyRotation* rotation = nullptr;
};

v1::Examination ToMessage(const storage::Examination& found);

class MaintenanceService final : public v1::Maintenance::Service {
 public:
  // Removes what an earlier run left over. Errors: kUnavailable.
  static StatusOr<std::unique_ptr<MaintenanceService>> New(MaintenanceParts parts);

  // The RPCs without gRPC, for gateway, which does not call itself. `id` has 16 bytes. After an error nothing
  // is left. Errors: kInvalidArgument (id), those of the functions above.
  StatusOr<v1::CheckpointResponse> Make(std::string_view id);
  Status Drop(std::string_view id);
  // One at a time, whoever asks. `cancelled` may be empty. Errors: kResourceExhausted (another is under way),
  // kUnimplemented (the service examines nothing), kCancelled, kUnavailable.
  StatusOr<v1::Examination> ExamineNow(bool repair, std::function<bool()> cancelled);
  // Without gRPC as well. Errors: those of KeyRotation; kUnimplemented (the service's keys are not rotated).
  StatusOr<v1::KeyRotationState> RotateKeysNow(const std::vector<std::string>& levels);
  StatusOr<v1::KeyRotationState> KeyRotationNow() const;
  StatusOr<v1::EndFormerKeysResponse> EndFormerKeysNow();
  // Ends an examination or a rotation under way, and lets none begin. The next start goes on with the rotation.
  void Stop();

  grpc::Status Checkpoint(grpc::ServerContext*, const v1::CheckpointRequest*,
                          v1::CheckpointResponse*) override;
  grpc::Status DropCheckpoint(grpc::ServerContext*, const v1::DropCheckpointRequest*,
                              v1::DropCheckpointResponse*) override;
  grpc::Status Examine(grpc::ServerContext* context, const v1::ExamineRequest* request,
                       v1::Examination* response) override;
  grpc::Status RotateKeys(grpc::ServerContext*, const v1::RotateKeysRequest* request,
                          v1::KeyRotationState* response) override;
  grpc::Status GetKeyRotation(grpc::ServerContext*, const v1::GetKeyRotationRequest*,
                              v1::KeyRotationState* response) override;
  grpc::Status EndFormerKeys(grpc::ServerContext*, const v1::EndFormerKeysRequest*,
                             v1::EndFormerKeysResponse* response) override;

 private:
  explicit MaintenanceService(MaintenanceParts parts) : parts_(std::move(parts)) {}
  std::filesystem::path Root() const { return parts_.directory / kCheckpointsFolder; }
  Status RemoveAll() const;
  StatusOr<v1::CheckpointResponse> Fill(const std::filesystem::path& folder) const;
  const MaintenanceParts parts_;
  std::mutex mutex_;
  std::mutex examining_;
  std::atomic<bool> stopping_{false};
};

// Who may call it: gateway, for people.
std::vector<MethodRule> MaintenanceRules();

}  // namespace cloister::services
