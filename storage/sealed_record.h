// SPDX-License-Identifier: Apache-2.0
// The sealed record: one value, encrypted and bound to its place, in the layout of
// docs/formats/sealed-record.md. Does not fetch keys or store anything. Pure and thread-safe.
//
// magic4 "CLSR" | format1 | suite1 | flags2 | key_id16 | salt32 | commitment32 | plaintext_len8 | frames
// Each frame is at most 64 KiB of ciphertext followed by a 16-byte tag.
#pragma once

#include <string>
#include <string_view>

#include "common/id.h"
#include "common/status.h"

namespace cloister::storage {

// What a record is bound to; all of it is authenticated, none of it is stored in the record.
struct RecordContext {
  DatabaseId database;
  std::string_view column_family;
  std::string_view row_key;
};

constexpr size_t kRecordHeaderBytes = 96;
constexpr size_t kFrameBytes = 64 * 1024;
constexpr uint64_t kPlaintextBytesMax = 256ull * 1024 * 1024;

// `key` has 32 bytes. A fresh salt each time: sealing twice gives different bytes.
// Errors: kInvalidArgument (more than kPlaintextBytesMax).
StatusOr<std::string> SealRecord(const KeyId& key_id, std::string_view key, const RecordContext& context,
                                 std::string_view plaintext);

// The key that `record` names. Errors: kDataLoss (not a sealed record, truncated header),
// kFailedPrecondition (a format or suite this version does not know; the message names it).
StatusOr<KeyId> RecordKeyId(std::string_view record);

// Errors: as RecordKeyId; kDataLoss (wrong key or context, altered, truncated or extended).
StatusOr<std::string> OpenRecord(std::string_view key, const RecordContext& context, std::string_view record);

}  // namespace cloister::storage
