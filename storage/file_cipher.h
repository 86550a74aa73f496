// SPDX-License-Identifier: Apache-2.0
// The encrypted file: a prefix that says which key, and a content under AES-256-CTR, in the layout of
// docs/formats/encrypted-file.md. Keeps content secret and tells a wrong key or a file under another name
// before a byte is decrypted. Does not authenticate the content (storage/sealed_record.h does that for
// values), does not fetch keys and does no I/O.
//
// magic4 "CLFE" | format1 | suite1 | flags2 | key_id16 | salt32 | commitment32 | zeros up to 4096 bytes
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/id.h"
#include "common/status.h"

namespace cloister::storage {

// A page, so that the content keeps the alignment it would have without a prefix.
constexpr size_t kFilePrefixBytes = 4096;

// The prefix of a new file: kFilePrefixBytes with a fresh random salt, hence with a key of its own.
// `volume_key` has 32 bytes (CHECKed). `name` is bound and not stored: the file opens under this name alone.
// Thread-safe.
std::string MakeFilePrefix(const KeyId& key_id, std::string_view volume_key, std::string_view name);

// The volume key that `prefix`, the first kFilePrefixBytes of a file, names. Errors: kDataLoss (not an
// encrypted file, truncated), kFailedPrecondition (a format, suite or flags this version does not know; the
// message names it). Thread-safe.
StatusOr<KeyId> FilePrefixKeyId(std::string_view prefix);

// The key stream of one file. Thread-safe.
class FileCipher {
 public:
  // Errors: as FilePrefixKeyId; kDataLoss (another volume key, another name, or the prefix is damaged).
  static StatusOr<std::unique_ptr<FileCipher>> Open(std::string_view volume_key, std::string_view name,
                                                    std::string_view prefix);
  ~FileCipher();
  // Encrypts or decrypts in place what stands at `offset` of the content; the content begins after the
  // prefix. An offset must never be encrypted twice with different bytes: write files from front to back,
  // once.
  void Apply(uint64_t offset, char* data, size_t size) const;

 private:
  struct Stream;
  explicit FileCipher(std::unique_ptr<Stream> stream);
  const std::unique_ptr<Stream> stream_;
};

}  // namespace cloister::storage
