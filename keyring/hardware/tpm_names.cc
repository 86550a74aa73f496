// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/tpm_names.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "common/bytes.h"
#include "crypto/random.h"
#include "keyring/hardware/tpm_device.h"

namespace cloister::keyring {
namespace {

constexpr std::string_view kPrefix = "nv:";
constexpr uint32_t kNvHandles = 0x01;  // The top byte of an NV index's handle.
constexpr int kAttempts = 64;

}  // namespace

std::string NameOfTpmIndex(uint32_t index) {
  ByteWriter out;
  out.U32(index);
  return std::string(kPrefix) + HexEncode(out.bytes());
}

StatusOr<uint32_t> TpmIndexOfName(std::string_view name) {
  uint32_t index = 0;
  if (name.starts_with(kPrefix)) {
    const std::string_view digits = name.substr(kPrefix.size());
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index, 16);
    if (error == std::errc() && NameOfTpmIndex(index) == name && index >> 24 == kNvHandles) return index;
  }
  return DataLoss("the keyring names a key that is not one of a TPM");
}

StatusOr<std::string> FreeTpmName(TpmDevice& device, uint32_t first, uint32_t count) {
  CLOISTER_ASSIGN_OR_RETURN(const auto taken, device.Indexes(first, count));
  const std::set<uint32_t> set(taken.begin(), taken.end());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string random = crypto::RandomBytes(4);
    const uint32_t index = first + ByteReader(random).U32() % std::max(count, 1u);
    if (!set.contains(index)) return NameOfTpmIndex(index);
  }
  return ResourceExhausted("the TPM's range of indexes is full: remove NV indexes that nothing uses");
}

}  // namespace cloister::keyring
