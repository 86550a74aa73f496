// SPDX-License-Identifier: Apache-2.0
// Segment files: slices of the index, sealed, so that a start need not analyse every document again. Derived
// state: a file that does not authenticate is set aside and its documents are indexed from the truth. Does
// not search. SPEC: docs/formats/segments.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "retrieval/slice.h"
#include "storage/key_source.h"

namespace cloister::retrieval {

struct SegmentIdTag {};
using SegmentId = Id<SegmentIdTag>;

constexpr size_t kSegmentBytesMax = 192 * 1024 * 1024;  // Of one file's plaintext.
constexpr size_t kSegmentsMax = 4'096;

struct SegmentInfo {
  SegmentId id;
  KeyId key;
  uint64_t from_sequence = 0, to_sequence = 0;  // Commit sequences of its documents, inclusive.
  std::string sha256;                           // 32 bytes, of the sealed file.
  uint32_t documents = 0, chunks = 0;
  bool operator==(const SegmentInfo&) const = default;
};

// Not thread-safe. `keys` must outlive it.
class SegmentStore {
 public:
  // Makes the directory when it is absent and reads the manifest; a manifest that does not authenticate is
  // set aside with every segment it may have named. Errors: kUnavailable, kResourceExhausted.
  static StatusOr<std::unique_ptr<SegmentStore>> Open(const std::filesystem::path& directory,
                                                      const DatabaseId& database, storage::KeySource& keys);

  // Calls `visit` for each segment that authenticates and parses, oldest first. The others are renamed to
  // *.quarantined, counted, and are no longer part of segments(). Errors: kUnavailable.
  Status Load(const std::function<void(const SegmentInfo&, IndexSlice)>& visit);

  // Writes a segment under a new key; it counts from Publish on. Errors: kResourceExhausted (disk full, or
  // more than kSegmentBytesMax), kUnavailable.
  StatusOr<SegmentInfo> Write(const IndexSlice& slice);
  // Makes `segments` the ones that count, durably, then deletes files of others.
  // Errors: kResourceExhausted (more than kSegmentsMax, disk full), kUnavailable.
  Status Publish(std::vector<SegmentInfo> segments);

  // Reads a segment again and returns its bytes. Thread-safe. Errors: kDataLoss and others (it does not
  // authenticate), kUnavailable.
  StatusOr<uint64_t> Check(const SegmentInfo& info) const;
  // The keys of the manifest and of every segment that counts. Errors: kUnavailable.
  StatusOr<std::vector<KeyId>> Keys() const;
  // Whether the manifest on the disk says what counts. Errors: kDataLoss and others, kUnavailable.
  Status CheckManifest() const;
  static std::string FileNameOf(const SegmentId& id);
  // Names of files that were set aside; with `remove`, they are gone afterwards.
  std::vector<std::string> QuarantinedFiles(bool remove) const;

  // The names of files in `directory` that do not authenticate, while no store has it open, and how many do.
  // With `remove`, they are gone afterwards. Errors: kUnavailable.
  static StatusOr<std::vector<std::string>> Inspect(const std::filesystem::path& directory,
                                                    const DatabaseId& database, storage::KeySource& keys,
                                                    bool remove, uint64_t& right);

  // Keys of segments that Load set aside: nothing needs them any more.
  const std::vector<KeyId>& dropped_keys() const { return dropped_keys_; }
  const std::vector<SegmentInfo>& segments() const { return segments_; }
  uint32_t quarantined() const { return quarantined_; }

 private:
  SegmentStore(std::filesystem::path directory, const DatabaseId& database, storage::KeySource& keys)
      : directory_(std::move(directory)), database_(database), keys_(keys) {}
  Status ReadManifest();
  // What the manifest's file says. Errors: kNotFound (there is none), kDataLoss and others, kUnavailable.
  StatusOr<std::vector<SegmentInfo>> OpenManifest() const;
  StatusOr<IndexSlice> Read(const SegmentInfo& info) const;
  void Quarantine(const std::filesystem::path& path);
  std::filesystem::path PathOf(const SegmentId& id) const;

  const std::filesystem::path directory_;
  const DatabaseId database_;
  storage::KeySource& keys_;
  std::vector<SegmentInfo> segments_;
  std::vector<KeyId> dropped_keys_;
  uint32_t quarantined_ = 0;
};

// The manifest's plaintext. Errors: kDataLoss, kFailedPrecondition (unknown version).
std::string SerialiseManifest(const std::vector<SegmentInfo>& segments);
StatusOr<std::vector<SegmentInfo>> ParseManifest(std::string_view bytes);

}  // namespace cloister::retrieval
