// SPDX-License-Identifier: Apache-2.0
// For tests: the audit service across backups and restores. The store stays what it is, as a restored one
// holds what the log of the backup refers to.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "audit/note.h"
#include "common/file.h"
#include "services/audit/audit_service_fixture.h"

namespace cloister::services {

class AuditGenerationTest : public AuditServiceFixture {
 protected:
  // As a restore does: the copied log becomes a former one, and the next generation begins.
  void Restore(const std::filesystem::path& copy, const v1::LogCheckpoint& log) {
    Stop();
    const auto number = GenerationOf(log.origin());
    ASSERT_TRUE(number.ok()) << number.status();
    std::filesystem::remove_all(log_directory_);
    std::filesystem::create_directories(Former());
    std::filesystem::rename(copy / "log", Former() / std::to_string(*number));
    LogGeneration generation;
    generation.number = *number + 1;
    generation.backup = std::string(kIdBytes, '\x42');
    generation.restored_ns = 1'800'000'000'000'000'000;
    generation.former_checkpoint = log.checkpoint();
    ASSERT_TRUE(WriteFileAtomic(GenerationPath(), SerialiseGeneration(generation), 0600).ok());
  }
  std::filesystem::path Former() const { return log_directory_.parent_path() / kFormerLogsFolder; }
  std::filesystem::path GenerationPath() const { return log_directory_.parent_path() / kGenerationFile; }
  static audit::NoteVerifier VerifierIn(const std::filesystem::path& folder) {
    auto verifier = audit::NoteVerifier::Parse(*ReadFile(folder / audit::kVerifierKeyFile, 4096));
    EXPECT_TRUE(verifier.ok());
    return *std::move(verifier);
  }
  // A backup of now is restored, and the service runs on it.
  void BackUpAndRestore() {
    const std::filesystem::path copy = directory_.path() / ("copy-" + std::to_string(++copies_));
    const auto made = service_->CopyLog(copy);
    ASSERT_TRUE(made.ok()) << made.status();
    Restore(copy, *made);
    Start();
  }
  std::string ReceiptOf(uint64_t index) {
    v1::GetReceiptRequest request;
    request.set_index(index);
    v1::GetReceiptResponse response;
    const Status status = Call("gateway", &v1::Audit::Stub::GetReceipt, request, response);
    EXPECT_TRUE(status.ok()) << status;
    return response.receipt();
  }
  int copies_ = 0;
};

}  // namespace cloister::services
