// SPDX-License-Identifier: Apache-2.0
#include "services/audit/generation.h"

#include "audit/checkpoint.h"
#include "common/bytes.h"
#include "common/file.h"
#include "common/id.h"
#include "crypto/hash.h"

namespace cloister::services {
namespace {

constexpr std::string_view kMagic = "CLGN";
constexpr uint8_t kFormat = 1;
constexpr size_t kChecksumBytes = 8;
constexpr size_t kFileBytesMax = audit::kNoteBytesMax + 1024;

}  // namespace

std::string SerialiseGeneration(const LogGeneration& generation) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.Raw(std::string(3, '\0'));
  out.U32(generation.number);
  out.U64(static_cast<uint64_t>(generation.restored_ns));
  out.String(generation.backup);
  out.String(generation.former_checkpoint);
  out.Raw(crypto::Sha256(out.bytes()).substr(0, kChecksumBytes));
  return out.Take();
}

StatusOr<LogGeneration> ReadGeneration(const std::filesystem::path& file) {
  const auto bytes = ReadFile(file, kFileBytesMax);
  if (bytes.status().code() == StatusCode::kNotFound) return LogGeneration();
  if (!bytes.ok()) return Annotate(bytes.status(), "the file 'generation' of the audit log");
  ByteReader in(*bytes);
  const std::string_view magic = in.Raw(kMagic.size());
  const uint8_t format = in.U8();
  if (magic == kMagic && !in.failed() && format != kFormat) {
    return FailedPrecondition("the file 'generation' of the audit log has format " + std::to_string(format) +
                              ", which this version does not know; use a newer one");
  }
  in.Raw(3);
  LogGeneration generation;
  generation.number = in.U32();
  generation.restored_ns = static_cast<int64_t>(in.U64());
  generation.backup = in.String();
  generation.former_checkpoint = in.String();
  in.Raw(kChecksumBytes);
  if (!in.Finish("generation").ok() || SerialiseGeneration(generation) != *bytes ||
      generation.backup.size() != kIdBytes || generation.number <= kFirstGeneration ||
      generation.number > kGenerationMax) {
    return DataLoss(
        "the file 'generation' of the audit log is damaged; put it back from where it was restored");
  }
  return generation;
}

StatusOr<uint32_t> GenerationOf(std::string_view origin) {
  const size_t slash = origin.rfind('/');
  if (slash == std::string_view::npos) return DataLoss("the origin of the audit log has no generation");
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t number, audit::ParseDecimal(origin.substr(slash + 1)));
  if (number < kFirstGeneration || number >= kGenerationMax) {
    return DataLoss("the generation of the audit log is out of bounds");
  }
  return static_cast<uint32_t>(number);
}

}  // namespace cloister::services
