// SPDX-License-Identifier: Apache-2.0
// Sealing that does not seal: the positive control of the canary test. Linked into test binaries only, in place of
// storage/sealed_record.cc; the product has no switch for it.
#include "storage/sealed_record.h"

namespace cloister::storage {
namespace {

constexpr std::string_view kMagic = "PLAINTXT";

}  // namespace

StatusOr<std::string> SealRecord(const KeyId& key_id, std::string_view, const RecordContext&,
                                 std::string_view plaintext) {
  return std::string(kMagic) + std::string(key_id.bytes()) + std::string(plaintext);
}

StatusOr<KeyId> RecordKeyId(std::string_view record) {
  if (!record.starts_with(kMagic) || record.size() < kMagic.size() + kIdBytes) {
    return DataLoss("not a test record");
  }
  return KeyId::FromBytes(record.substr(kMagic.size(), kIdBytes));
}

StatusOr<std::string> OpenRecord(std::string_view, const RecordContext&, std::string_view record) {
  CLOISTER_RETURN_IF_ERROR(RecordKeyId(record).status());
  return std::string(record.substr(kMagic.size() + kIdBytes));
}

}  // namespace cloister::storage
