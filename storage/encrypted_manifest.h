// SPDX-License-Identifier: Apache-2.0
// Seals the manifest, the file in which RocksDB lists its tables. RocksDB takes a manifest that ends early,
// be it by one flipped bit in a length, for the whole of it, drops the tables of the rest and deletes their
// files: acknowledged rows would go missing without a word, and the sequence check would not see it. So a
// file beside the database says how long the manifest was when it was last synced, and authenticates it up to
// there. For storage/encrypted_env.cc. SPEC: docs/formats/encrypted-file.md, "The manifest seal"
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

#include "common/file.h"
#include "common/status.h"
#include "storage/key_source.h"

namespace cloister::storage {

// One state of the manifest that CURRENT names.
struct ManifestState {
  uint64_t number = 0;  // Of MANIFEST-000123.
  uint64_t bytes = 0;   // Of the content, from its beginning.
  std::string digest;   // SHA-256 of these.
};

// The number in "MANIFEST-000123"; 0 when `name` is no manifest.
uint64_t ManifestNumber(std::string_view name);

// What the seal says. Pure but for reading `path`.
struct ManifestSeal {
  KeyId key_id;
  uint64_t number = 0;
  uint64_t bytes = 0;
  std::string mac;
  // Errors: kNotFound, kDataLoss (damaged), kFailedPrecondition (unknown format), kUnavailable.
  static StatusOr<ManifestSeal> Read(const std::filesystem::path& path);
  // Whether `state`, the first `bytes` of manifest `number`, is what was sealed with `volume_key`.
  bool Fits(std::string_view volume_key, const ManifestState& state) const;
  // Replaces the seal at `path`, durably. Errors: kResourceExhausted, kUnavailable.
  static Status Write(const std::filesystem::path& path, const DataKey& key, const ManifestState& state);
};

// Keeps the seal up to date. Thread-safe. Like the file 'acknowledged' it is overwritten in place without
// fsync, after the manifest is durable: after a crash it may be behind the manifest, never ahead of it.
class ManifestSealer {
 public:
  explicit ManifestSealer(std::filesystem::path path) : path_(std::move(path)) {}
  void Use(DataKey key);
  // `state` is durable. Sealed when its manifest is the current one.
  void Synced(const ManifestState& state);
  // CURRENT now names, durably, the manifest that was synced last.
  void MadeCurrent();
  // The seal as it stands, never one that is half overwritten. Errors: as ManifestSeal::Read.
  StatusOr<ManifestSeal> Read();

 private:
  const std::filesystem::path path_;
  std::mutex mutex_;
  DataKey key_;
  FileDescriptor fd_;
  ManifestState last_;
  uint64_t current_ = 0;
};

}  // namespace cloister::storage
