// SPDX-License-Identifier: Apache-2.0
#include "crypto/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "common/status.h"

namespace cloister::crypto {
namespace {

constexpr size_t kSlotBytesMin = 32;
constexpr size_t kSlotBytesMax = 4096;
constexpr size_t kSlabBytes = 64 * 1024;
constexpr size_t kSizeClasses = 8;  // 32, 64, ... 4096.

// Pages for secrets. Locking may fail beyond RLIMIT_MEMLOCK; the secret is then still kept out of core dumps.
char* MapPages(size_t bytes) {
  void* pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CLOISTER_CHECK(pages != MAP_FAILED);
  ::mlock(pages, bytes);
  ::madvise(pages, bytes, MADV_DONTDUMP);
  return static_cast<char*>(pages);
}

// Equal slots cut from locked slabs. Locks work on whole pages, so secrets must not share a page with the
// ordinary heap, and a page for each 32-byte key would cost 4 GiB for a million of them. Slabs are kept for
// reuse until the process ends.
class Arena {
 public:
  char* Take(size_t bytes) {
    if (bytes > kSlotBytesMax) return MapPages(bytes);
    const size_t size_class = SizeClass(bytes);
    std::lock_guard lock(mutex_);
    auto& free = free_[size_class];
    if (free.empty()) {
      const size_t slot = kSlotBytesMin << size_class;
      char* slab = MapPages(kSlabBytes);
      for (size_t at = 0; at < kSlabBytes; at += slot) free.push_back(slab + at);
    }
    char* slot = free.back();
    free.pop_back();
    return slot;
  }

  // `data` has been wiped.
  void Return(char* data, size_t bytes) {
    if (bytes > kSlotBytesMax) {
      ::munmap(data, bytes);
      return;
    }
    std::lock_guard lock(mutex_);
    free_[SizeClass(bytes)].push_back(data);
  }

 private:
  static size_t SizeClass(size_t bytes) {
    const size_t slot = std::bit_ceil(std::max(bytes, kSlotBytesMin));
    return static_cast<size_t>(std::countr_zero(slot) - std::countr_zero(kSlotBytesMin));
  }

  std::mutex mutex_;
  std::array<std::vector<char*>, kSizeClasses> free_;
};

// Never destroyed: secrets with static lifetime may outlive any static of this file.
Arena& TheArena() {
  static Arena* const arena = new Arena;
  return *arena;
}

}  // namespace

Secret::Secret(size_t size) : data_(size == 0 ? nullptr : TheArena().Take(size)), size_(size) {}

Secret::Secret(std::string_view bytes) : Secret(bytes.size()) {
  if (size_ != 0) std::memcpy(data_, bytes.data(), size_);
}

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  Secret taken(std::move(other));  // What this held is wiped when `taken` ends.
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  return *this;
}

Secret::~Secret() {
  if (data_ == nullptr) return;
  Wipe(data_, size_);
  TheArena().Return(data_, size_);
}

void Wipe(void* data, size_t size) {
  if (size != 0) OPENSSL_cleanse(data, size);
}

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

bool ForbidCoreDumps() {
  const rlimit none{0, 0};
  const bool limited = ::setrlimit(RLIMIT_CORE, &none) == 0;
  return ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && limited;
}

}  // namespace cloister::crypto
