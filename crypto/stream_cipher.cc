// SPDX-License-Identifier: Apache-2.0
#include "crypto/stream_cipher.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "common/status.h"
#include "crypto/openssl.h"

namespace cloister::crypto {
namespace {

using CounterBlock = std::array<unsigned char, kStreamCipherBlockBytes>;

// OpenSSL counts bytes in an int; a multiple of the block keeps the stream aligned between calls.
constexpr size_t kBytesPerCall = size_t{1} << 30;

EVP_CIPHER* Aes256Ctr() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  CLOISTER_CHECK(cipher != nullptr);
  return cipher;
}

CounterBlock Add(CounterBlock counter, uint64_t blocks) {
  unsigned carry = 0;
  for (size_t i = counter.size(); i-- > 0; blocks >>= 8) {
    const unsigned sum = counter[i] + static_cast<unsigned>(blocks & 0xff) + carry;
    counter[i] = static_cast<unsigned char>(sum);
    carry = sum >> 8;
  }
  return counter;
}

void Update(EVP_CIPHER_CTX* context, unsigned char* data, size_t size) {
  int done = 0;
  CLOISTER_CHECK(EVP_CipherUpdate(context, data, &done, data, static_cast<int>(size)) == 1);
  CLOISTER_CHECK(done == static_cast<int>(size));
}

}  // namespace

// A context carries the expanded key and a position, so two threads cannot share one; expanding the key again
// for each call would cost as much as encrypting some hundred bytes.
struct StreamCipher::Contexts {
  CounterBlock first{};
  CipherContextPtr original;  // Never positioned; others are copies of it.
  std::mutex mutex;
  std::vector<CipherContextPtr> idle;

  CipherContextPtr Borrow() {
    {
      std::lock_guard lock(mutex);
      if (!idle.empty()) {
        CipherContextPtr context = std::move(idle.back());
        idle.pop_back();
        return context;
      }
    }
    CipherContextPtr context(EVP_CIPHER_CTX_new());
    CLOISTER_CHECK(context != nullptr && EVP_CIPHER_CTX_copy(context.get(), original.get()) == 1);
    return context;
  }
  void Return(CipherContextPtr context) {
    std::lock_guard lock(mutex);
    idle.push_back(std::move(context));
  }
};

StreamCipher::StreamCipher(std::string_view key, std::string_view first_counter)
    : contexts_(std::make_unique<Contexts>()) {
  CLOISTER_CHECK(key.size() == kStreamCipherKeyBytes && first_counter.size() == kStreamCipherBlockBytes);
  std::copy(first_counter.begin(), first_counter.end(), contexts_->first.begin());
  contexts_->original.reset(EVP_CIPHER_CTX_new());
  CLOISTER_CHECK(contexts_->original != nullptr);
  CLOISTER_CHECK(EVP_EncryptInit_ex2(contexts_->original.get(), Aes256Ctr(), Unsigned(key),
                                     contexts_->first.data(), nullptr) == 1);
}

StreamCipher::~StreamCipher() = default;

void StreamCipher::Apply(uint64_t offset, char* data, size_t size) const {
  if (size == 0) return;
  const CounterBlock counter = Add(contexts_->first, offset / kStreamCipherBlockBytes);
  CipherContextPtr context = contexts_->Borrow();
  CLOISTER_CHECK(EVP_EncryptInit_ex2(context.get(), nullptr, nullptr, counter.data(), nullptr) == 1);
  // The part of the first block that lies before `offset`.
  CounterBlock skipped{};
  const size_t skip = offset % kStreamCipherBlockBytes;
  if (skip != 0) Update(context.get(), skipped.data(), skip);
  unsigned char* at = Unsigned(data);
  while (size > 0) {
    const size_t now = std::min(size, kBytesPerCall);
    Update(context.get(), at, now);
    at += now;
    size -= now;
  }
  contexts_->Return(std::move(context));
}

}  // namespace cloister::crypto
