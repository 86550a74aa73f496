// SPDX-License-Identifier: Apache-2.0
#include "retrieval/segment.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "common/bytes.h"
#include "common/file.h"
#include "common/log.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "retrieval/rows.h"
#include "storage/sealed_record.h"

namespace cloister::retrieval {
namespace {

constexpr uint8_t kManifestFormat = 1;
constexpr std::string_view kManifestName = "MANIFEST";
constexpr std::string_view kManifestFamily = "segment-manifest";
constexpr std::string_view kSegmentFamily = "segment";
constexpr std::string_view kSegmentSuffix = ".segment";
constexpr std::string_view kQuarantineSuffix = ".quarantined";
constexpr size_t kManifestBytesMax = 1024 * 1024;
constexpr unsigned kFileMode = 0600;
// Frames add a 16-byte tag to each 64 KiB.
constexpr size_t kSealedBytesMax = kSegmentBytesMax + kSegmentBytesMax / 1024 + 4096;

}  // namespace

std::string SerialiseManifest(const std::vector<SegmentInfo>& segments) {
  ByteWriter out;
  out.U8(kManifestFormat);
  out.U32(static_cast<uint32_t>(segments.size()));
  for (const SegmentInfo& segment : segments) {
    out.Raw(segment.id.bytes());
    out.Raw(segment.key.bytes());
    out.U64(segment.from_sequence);
    out.U64(segment.to_sequence);
    out.Raw(segment.sha256);
    out.U32(segment.documents);
    out.U32(segment.chunks);
  }
  return out.Take();
}

StatusOr<std::vector<SegmentInfo>> ParseManifest(std::string_view bytes) {
  ByteReader in(bytes);
  if (const uint8_t format = in.U8(); !in.failed() && format != kManifestFormat) {
    return FailedPrecondition("segment manifest has format version " + std::to_string(format) +
                              "; this build reads version " + std::to_string(kManifestFormat));
  }
  std::vector<SegmentInfo> segments(in.Count(2 * kIdBytes + 16 + crypto::kSha256Bytes + 8));
  for (SegmentInfo& segment : segments) {
    segment.id = *SegmentId::FromBytes(in.Raw(kIdBytes));
    segment.key = *KeyId::FromBytes(in.Raw(kIdBytes));
    segment.from_sequence = in.U64();
    segment.to_sequence = in.U64();
    segment.sha256 = in.Raw(crypto::kSha256Bytes);
    segment.documents = in.U32();
    segment.chunks = in.U32();
  }
  CLOISTER_RETURN_IF_ERROR(in.Finish("segment manifest"));
  return segments;
}

StatusOr<std::unique_ptr<SegmentStore>> SegmentStore::Open(const std::filesystem::path& directory,
                                                           const DatabaseId& database,
                                                           storage::KeySource& keys) {
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(directory));
  std::unique_ptr<SegmentStore> store(new SegmentStore(directory, database, keys));
  CLOISTER_RETURN_IF_ERROR(store->ReadManifest());
  return store;
}

std::filesystem::path SegmentStore::PathOf(const SegmentId& id) const { return directory_ / FileNameOf(id); }

void SegmentStore::Quarantine(const std::filesystem::path& path) {
  ++quarantined_;
  std::error_code error;
  std::filesystem::rename(path, path.string() + std::string(kQuarantineSuffix), error);
}

StatusOr<std::vector<SegmentInfo>> SegmentStore::OpenManifest() const {
  const auto sealed = ReadFile(directory_ / kManifestName, kManifestBytesMax);
  if (sealed.status().code() == StatusCode::kNotFound) return sealed.status();
  CLOISTER_RETURN_IF_ERROR(sealed.status());
  CLOISTER_ASSIGN_OR_RETURN(const KeyId id, storage::RecordKeyId(*sealed));
  const auto key = keys_.GetKey(id);
  if (key.status().code() == StatusCode::kNotFound) return DataLoss("the key of the segment manifest is gone");
  CLOISTER_RETURN_IF_ERROR(key.status());
  CLOISTER_ASSIGN_OR_RETURN(
      const std::string bytes,
      storage::OpenRecord(key->key->view(), {database_, kManifestFamily, kManifestName}, *sealed));
  return ParseManifest(bytes);
}

StatusOr<std::vector<KeyId>> SegmentStore::Keys() const {
  std::vector<KeyId> ids;
  const auto sealed = ReadFile(directory_ / kManifestName, kManifestBytesMax);
  if (!sealed.ok() && sealed.status().code() != StatusCode::kNotFound) return sealed.status();
  const auto manifest = sealed.ok() ? storage::RecordKeyId(*sealed) : StatusOr<KeyId>(sealed.status());
  if (manifest.ok()) ids.push_back(*manifest);
  for (const SegmentInfo& segment : segments_) ids.push_back(segment.key);
  return ids;
}

Status SegmentStore::ReadManifest() {
  auto segments = OpenManifest();
  if (segments.ok()) {
    segments_ = *std::move(segments);
    return absl::OkStatus();
  }
  if (segments.status().code() == StatusCode::kNotFound) return absl::OkStatus();
  if (segments.status().code() == StatusCode::kUnavailable) return segments.status();
  LogStatus(LogLevel::kError, "retrieval.segment_manifest_quarantined", segments.status());
  Quarantine(directory_ / kManifestName);
  return absl::OkStatus();
}

Status SegmentStore::CheckManifest() const {
  const auto segments = OpenManifest();
  if (segments.status().code() == StatusCode::kNotFound && segments_.empty()) return absl::OkStatus();
  CLOISTER_RETURN_IF_ERROR(segments.status());
  return *segments == segments_ ? absl::OkStatus()
                                : DataLoss("the manifest is not the one that was published");
}

StatusOr<uint64_t> SegmentStore::Check(const SegmentInfo& info) const {
  CLOISTER_RETURN_IF_ERROR(Read(info).status());
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(PathOf(info.id), error);
  return error ? 0 : bytes;
}

std::string SegmentStore::FileNameOf(const SegmentId& id) { return id.hex() + std::string(kSegmentSuffix); }

std::vector<std::string> SegmentStore::QuarantinedFiles(bool remove) const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    if (entry.path().extension() != kQuarantineSuffix) continue;
    names.push_back(entry.path().filename().string());
  }
  for (const std::string& name : names) {
    if (remove) std::filesystem::remove(directory_ / name, error);
  }
  std::sort(names.begin(), names.end());
  return names;
}

StatusOr<IndexSlice> SegmentStore::Read(const SegmentInfo& info) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::string sealed, ReadFile(PathOf(info.id), kSealedBytesMax));
  // The manifest is authentic, so this catches damage before any byte of the file is used.
  if (crypto::Sha256(sealed) != info.sha256)
    return DataLoss("a segment file is not the one that was published");
  CLOISTER_ASSIGN_OR_RETURN(const auto key, keys_.GetKey(info.key));
  CLOISTER_ASSIGN_OR_RETURN(
      const std::string bytes,
      storage::OpenRecord(key.key->view(), {database_, kSegmentFamily, info.id.bytes()}, sealed));
  CLOISTER_ASSIGN_OR_RETURN(IndexSlice slice, ParseSlice(bytes));
  if (slice.documents.size() != info.documents || slice.lengths.size() != info.chunks) {
    return DataLoss("a segment does not hold what the manifest says");
  }
  return slice;
}

StatusOr<std::vector<std::string>> SegmentStore::Inspect(const std::filesystem::path& directory,
                                                         const DatabaseId& database, storage::KeySource& keys,
                                                         bool remove, uint64_t& right) {
  SegmentStore store(directory, database, keys);
  std::vector<std::string> bad;
  auto segments = store.OpenManifest();
  if (segments.status().code() == StatusCode::kUnavailable) return segments.status();
  if (!segments.ok() && segments.status().code() != StatusCode::kNotFound) bad.emplace_back(kManifestName);
  for (const SegmentInfo& info : segments.ok() ? *segments : std::vector<SegmentInfo>()) {
    const Status read = store.Read(info).status();
    if (read.code() == StatusCode::kUnavailable) return read;
    if (read.ok()) ++right;
    if (!read.ok()) bad.push_back(FileNameOf(info.id));
  }
  std::error_code error;
  for (const std::string& file : bad) {
    if (remove) std::filesystem::remove(directory / file, error);
  }
  return bad;
}

Status SegmentStore::Load(const std::function<void(const SegmentInfo&, IndexSlice)>& visit) {
  std::vector<SegmentInfo> good;
  for (const SegmentInfo& info : segments_) {
    auto slice = Read(info);
    if (slice.ok()) {
      visit(info, *std::move(slice));
      good.push_back(info);
    } else if (slice.status().code() == StatusCode::kUnavailable) {
      return slice.status();
    } else {
      LogStatus(LogLevel::kError, "retrieval.segment_quarantined", slice.status());
      Quarantine(PathOf(info.id));
      dropped_keys_.push_back(info.key);
    }
  }
  segments_ = std::move(good);
  return absl::OkStatus();
}

StatusOr<SegmentInfo> SegmentStore::Write(const IndexSlice& slice) {
  const std::string plaintext = Serialise(slice);
  if (plaintext.size() > kSegmentBytesMax) return ResourceExhausted("an index segment is too large");
  CLOISTER_ASSIGN_OR_RETURN(const auto keys, keys_.CreateKeys(storage::KeyKind::kSegment, 1));
  SegmentInfo info;
  info.id = crypto::RandomId<SegmentId>();
  info.key = keys.front().id;
  CLOISTER_ASSIGN_OR_RETURN(const std::string sealed,
                            storage::SealRecord(info.key, keys.front().key->view(),
                                                {database_, kSegmentFamily, info.id.bytes()}, plaintext));
  info.sha256 = crypto::Sha256(sealed);
  info.documents = static_cast<uint32_t>(slice.documents.size());
  info.chunks = static_cast<uint32_t>(slice.lengths.size());
  for (const SliceDocument& document : slice.documents) {
    info.from_sequence =
        info.from_sequence == 0 ? document.sequence : std::min(info.from_sequence, document.sequence);
    info.to_sequence = std::max(info.to_sequence, document.sequence);
  }
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(PathOf(info.id), sealed, kFileMode));
  return info;
}

Status SegmentStore::Publish(std::vector<SegmentInfo> segments) {
  if (segments.size() > kSegmentsMax) return ResourceExhausted("there are too many index segments");
  CLOISTER_ASSIGN_OR_RETURN(const auto key,
                            keys_.GetNamedKey(storage::KeyKind::kSegment, "segment-manifest"));
  CLOISTER_ASSIGN_OR_RETURN(
      const std::string sealed,
      storage::SealRecord(key.id, key.key->view(), {database_, kManifestFamily, kManifestName},
                          SerialiseManifest(segments)));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(directory_ / kManifestName, sealed, kFileMode));
  segments_ = std::move(segments);
  std::set<std::string> wanted;
  for (const SegmentInfo& info : segments_) wanted.insert(PathOf(info.id).filename().string());
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    const bool left_over = name.find(".tmp.") != std::string::npos;  // Of a write that a crash cut short.
    const bool unwanted = entry.path().extension() == kSegmentSuffix && !wanted.contains(name);
    if (left_over || unwanted) std::filesystem::remove(entry.path(), error);
  }
  return absl::OkStatus();
}

}  // namespace cloister::retrieval
