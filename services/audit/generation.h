// SPDX-License-Identifier: Apache-2.0
// Which log this is: a restored appliance cannot go on with the log of its backup, since somebody may have
// seen more of it, so it opens the next generation and says from where. The file DATA/audit/generation,
// absent for the first one. Not authenticated: who can write the disk can remove log and file together, and
// only a witness would notice. Functions block on the disk. SPEC: docs/formats/backup.md, "The log's
// generation"
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/status.h"

namespace cloister::services {

constexpr uint32_t kFirstGeneration = 1;
constexpr uint32_t kGenerationMax = 1'000'000;
inline constexpr std::string_view kGenerationFile = "generation";
// DATA/audit/former/<generation>/: the logs of before, each as an export.
inline constexpr std::string_view kFormerLogsFolder = "former";

struct LogGeneration {
  uint32_t number = kFirstGeneration;
  // What follows is empty for the first generation.
  std::string backup;             // 16 bytes: the backup that was restored.
  int64_t restored_ns = 0;        // Unix time.
  std::string former_checkpoint;  // The last signed note of the generation before that the backup holds.
};

// Errors: kDataLoss (damaged), kFailedPrecondition (unknown format), kUnavailable.
StatusOr<LogGeneration> ReadGeneration(const std::filesystem::path& file);
std::string SerialiseGeneration(const LogGeneration& generation);

// The generation in an origin "<appliance>/<tenant>/<generation>". Errors: kDataLoss.
StatusOr<uint32_t> GenerationOf(std::string_view origin);

}  // namespace cloister::services
