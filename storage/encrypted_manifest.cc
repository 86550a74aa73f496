// SPDX-License-Identifier: Apache-2.0
#include "storage/encrypted_manifest.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include "common/bytes.h"
#include "common/log.h"
#include "crypto/hash.h"

namespace cloister::storage {
namespace {

constexpr std::string_view kMagic = "CLMS";
constexpr uint8_t kFormat = 1;
constexpr size_t kFileBytesMax = 4096;
constexpr unsigned kFileMode = 0600;
constexpr std::string_view kManifestPrefix = "MANIFEST-";
constexpr size_t kSealKeyBytes = 32;

// What stands before the code, which covers it.
std::string Head(const KeyId& key_id, uint64_t number, uint64_t bytes) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.Raw(std::string(3, '\0'));
  out.Raw(key_id.bytes());
  out.U64(number);
  out.U64(bytes);
  return out.Take();
}

std::string Mac(std::string_view volume_key, std::string_view head, std::string_view digest) {
  const crypto::Secret key = crypto::HkdfSha512(volume_key, "", "cloister/v1/manifest", kSealKeyBytes);
  return crypto::HmacSha256(key.view(), std::string(head) + std::string(digest));
}

// 72 bytes, so that the file lies within one sector and is never torn.
std::string Serialise(const DataKey& key, const ManifestState& state) {
  const std::string head = Head(key.id, state.number, state.bytes);
  return head + Mac(key.key->view(), head, state.digest);
}

}  // namespace

uint64_t ManifestNumber(std::string_view name) {
  if (!name.starts_with(kManifestPrefix)) return 0;
  name.remove_prefix(kManifestPrefix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

StatusOr<ManifestSeal> ManifestSeal::Read(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kFileBytesMax));
  ByteReader in(bytes);
  const std::string_view magic = in.Raw(kMagic.size());
  const uint8_t format = in.U8();
  if (magic == kMagic && !in.failed() && format != kFormat) {
    return FailedPrecondition("the file 'manifest' has format " + std::to_string(format) +
                              ", which this version does not know; use a newer one");
  }
  in.Raw(3);
  ManifestSeal seal;
  const auto key_id = KeyId::FromBytes(in.Raw(kIdBytes));
  seal.number = in.U64();
  seal.bytes = in.U64();
  seal.mac = in.Raw(crypto::kSha256Bytes);
  if (!in.Finish("manifest").ok() || !key_id.ok()) {
    return DataLoss("the file 'manifest' beside the database is damaged");
  }
  seal.key_id = *key_id;
  // The three bytes without a meaning included.
  if (!std::string_view(bytes).starts_with(Head(seal.key_id, seal.number, seal.bytes))) {
    return DataLoss("the file 'manifest' beside the database is damaged");
  }
  return seal;
}

bool ManifestSeal::Fits(std::string_view volume_key, const ManifestState& state) const {
  if (state.number != number || state.bytes != bytes) return false;
  return crypto::ConstantTimeEqual(mac, Mac(volume_key, Head(key_id, number, bytes), state.digest));
}

Status ManifestSeal::Write(const std::filesystem::path& path, const DataKey& key, const ManifestState& state) {
  return WriteFileAtomic(path, Serialise(key, state), kFileMode);
}

StatusOr<ManifestSeal> ManifestSealer::Read() {
  std::lock_guard lock(mutex_);
  return ManifestSeal::Read(path_);
}

void ManifestSealer::Use(DataKey key) {
  std::lock_guard lock(mutex_);
  key_ = std::move(key);
}

void ManifestSealer::Synced(const ManifestState& state) {
  std::lock_guard lock(mutex_);
  last_ = state;
  if (state.number != current_ || !fd_.valid()) return;
  const std::string bytes = Serialise(key_, state);
  if (::pwrite(fd_.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size())) return;
  Log(LogLevel::kWarning, "storage.manifest_not_sealed");  // Only the check would know less.
}

void ManifestSealer::MadeCurrent() {
  std::lock_guard lock(mutex_);
  current_ = last_.number;
  fd_.Reset();
  const Status written = ManifestSeal::Write(path_, key_, last_);
  if (written.ok()) fd_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd_.valid()) Log(LogLevel::kWarning, "storage.manifest_not_sealed");
}

}  // namespace cloister::storage
