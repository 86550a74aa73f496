// SPDX-License-Identifier: Apache-2.0
// Sealing with a salt of the caller's choice, for the worked example of docs/formats/sealed-record.md alone:
// a salt used twice with one key gives two messages the same key and nonces.
#pragma once

#include "storage/sealed_record.h"

namespace cloister::storage::internal {

constexpr size_t kRecordSaltBytes = 32;

// `salt` has kRecordSaltBytes (CHECKed). Errors: as SealRecord.
StatusOr<std::string> SealRecordWithSalt(const KeyId& key_id, std::string_view key,
                                         const RecordContext& context, std::string_view plaintext,
                                         std::string_view salt);

}  // namespace cloister::storage::internal
