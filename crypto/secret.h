// SPDX-License-Identifier: Apache-2.0
// Memory for secrets: locked where the limit allows, excluded from core dumps, wiped on destruction. Does not
// encrypt. Not thread-safe to mutate; safe to read from many threads.
#pragma once

#include <cstddef>
#include <string_view>

namespace cloister::crypto {

// Owns up to some kilobytes of secret bytes. Movable, not copyable: a copy of a key is a decision.
class Secret {
 public:
  Secret() = default;
  explicit Secret(size_t size);             // Zero-filled.
  explicit Secret(std::string_view bytes);  // Copies; the caller wipes its own copy (see Wipe).
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();
  Secret Clone() const { return Secret(view()); }
  std::string_view view() const { return {data_, size_}; }
  char* data() { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

// Overwrites memory in a way the compiler keeps.
void Wipe(void* data, size_t size);
// Compares without a data-dependent branch. Lengths are not secret.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

// PR_SET_DUMPABLE 0 and RLIMIT_CORE 0 for this process: no core file, no ptrace by others of the same user.
// Every service calls it first in main(). Returns false when the kernel refused.
bool ForbidCoreDumps();

}  // namespace cloister::crypto
