// SPDX-License-Identifier: Apache-2.0
// Remembers the commit sequence of the last acknowledged batch beside a database, so that a database that
// comes back without it is noticed. One write without fsync per batch: after a power cut it may be behind the
// database, never ahead of it. Finds batches lost by the database; does not find the loss of both (see the
// freshness statement). SPEC: docs/formats/sealed-record.md, "The sequence check"
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "common/file.h"
#include "common/id.h"
#include "common/status.h"

namespace cloister::storage {

struct Acknowledged {
  DatabaseId database;
  uint64_t sequence = 0;
};

// Not thread-safe.
class AcknowledgedFile {
 public:
  // What the file says; nothing when there is none. Errors: kDataLoss (damaged), kFailedPrecondition (unknown
  // format), kUnavailable.
  static StatusOr<std::optional<Acknowledged>> Read(const std::filesystem::path& path);
  // Replaces the file durably and keeps it open. Errors: kResourceExhausted (disk full), kUnavailable.
  static StatusOr<AcknowledgedFile> Start(const std::filesystem::path& path, const Acknowledged& first);
  // Overwrites in place, without fsync.
  Status Set(uint64_t sequence);
  // Makes the last Set durable.
  Status Sync();
  bool IsOpen() const { return fd_.valid(); }

 private:
  FileDescriptor fd_;
  DatabaseId database_;
};

}  // namespace cloister::storage
