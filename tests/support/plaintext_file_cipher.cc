// SPDX-License-Identifier: Apache-2.0
// File encryption that does not encrypt: the positive control of every test that searches files for
// plaintext. Linked into test binaries only, in place of storage/file_cipher.cc; the product has no switch
// for it.
#include <utility>

#include "storage/file_cipher.h"

namespace cloister::storage {
namespace {

constexpr std::string_view kMagic = "PLAINFILE";

}  // namespace

std::string MakeFilePrefix(const KeyId& key_id, std::string_view, std::string_view) {
  std::string prefix = std::string(kMagic) + std::string(key_id.bytes());
  prefix.resize(kFilePrefixBytes, '\0');
  return prefix;
}

StatusOr<KeyId> FilePrefixKeyId(std::string_view prefix) {
  if (!prefix.starts_with(kMagic) || prefix.size() != kFilePrefixBytes) return DataLoss("not a test file");
  return KeyId::FromBytes(prefix.substr(kMagic.size(), kIdBytes));
}

struct FileCipher::Stream {};
FileCipher::FileCipher(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}
FileCipher::~FileCipher() = default;

StatusOr<std::unique_ptr<FileCipher>> FileCipher::Open(std::string_view, std::string_view,
                                                       std::string_view prefix) {
  CLOISTER_RETURN_IF_ERROR(FilePrefixKeyId(prefix).status());
  return std::unique_ptr<FileCipher>(new FileCipher(std::make_unique<Stream>()));
}

void FileCipher::Apply(uint64_t, char*, size_t) const {}

}  // namespace cloister::storage
