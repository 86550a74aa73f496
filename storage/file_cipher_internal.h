// SPDX-License-Identifier: Apache-2.0
// A prefix with a salt of the caller's choice, for the worked example of docs/formats/encrypted-file.md
// alone: a salt used twice with one volume key and name gives two files the same key stream.
#pragma once

#include "storage/file_cipher.h"

namespace cloister::storage::internal {

constexpr size_t kFileSaltBytes = 32;

// `salt` has kFileSaltBytes (CHECKed).
std::string MakeFilePrefixWithSalt(const KeyId& key_id, std::string_view volume_key, std::string_view name,
                                   std::string_view salt);

}  // namespace cloister::storage::internal
