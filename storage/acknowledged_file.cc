// SPDX-License-Identifier: Apache-2.0
#include "storage/acknowledged_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "common/bytes.h"
#include "crypto/hash.h"

namespace cloister::storage {
namespace {

constexpr std::string_view kMagic = "CLAK";
constexpr uint8_t kFormat = 1;
constexpr size_t kChecksumBytes = 8;
constexpr size_t kFileBytesMax = 4096;
constexpr unsigned kFileMode = 0600;

// 40 bytes, so that the file lies within one sector and is never torn.
std::string Serialise(const Acknowledged& value) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.Raw(std::string(3, '\0'));
  out.Raw(value.database.bytes());
  out.U64(value.sequence);
  out.Raw(crypto::Sha256(out.bytes()).substr(0, kChecksumBytes));
  return out.Take();
}

}  // namespace

StatusOr<std::optional<Acknowledged>> AcknowledgedFile::Read(const std::filesystem::path& path) {
  const auto bytes = ReadFile(path, kFileBytesMax);
  if (bytes.status().code() == StatusCode::kNotFound) return std::optional<Acknowledged>();
  if (!bytes.ok()) return bytes.status();
  ByteReader in(*bytes);
  const std::string_view magic = in.Raw(kMagic.size());
  const uint8_t format = in.U8();
  if (magic == kMagic && !in.failed() && format != kFormat) {
    return FailedPrecondition("the file 'acknowledged' has format " + std::to_string(format) +
                              ", which this version does not know; use a newer one");
  }
  in.Raw(3);
  Acknowledged value;
  const auto database = DatabaseId::FromBytes(in.Raw(kIdBytes));
  value.sequence = in.U64();
  in.Raw(kChecksumBytes);
  if (database.ok()) value.database = *database;
  if (!in.Finish("acknowledged").ok() || Serialise(value) != *bytes) {
    return DataLoss(
        "the file 'acknowledged' beside the database is damaged; check the disk, then remove the file "
        "to open without knowing whether an acknowledged write is missing");
  }
  return std::optional<Acknowledged>(value);
}

StatusOr<AcknowledgedFile> AcknowledgedFile::Start(const std::filesystem::path& path,
                                                   const Acknowledged& first) {
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(path, Serialise(first), kFileMode));
  AcknowledgedFile file;
  file.fd_ = FileDescriptor(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.fd_.valid()) return ErrnoStatus(errno, "open 'acknowledged'");
  file.database_ = first.database;
  return file;
}

Status AcknowledgedFile::Set(uint64_t sequence) {
  const std::string bytes = Serialise({database_, sequence});
  const ssize_t put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), 0);
  if (put == static_cast<ssize_t>(bytes.size())) return absl::OkStatus();
  return ErrnoStatus(put < 0 ? errno : EIO, "write 'acknowledged'");
}

Status AcknowledgedFile::Sync() {
  return ::fdatasync(fd_.get()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "fsync 'acknowledged'");
}

}  // namespace cloister::storage
