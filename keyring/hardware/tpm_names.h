// SPDX-License-Identifier: Apache-2.0
// What NV indexes are called in files: "nv:" and the handle in hexadecimal. Does not make or read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"

namespace cloister::keyring {

class TpmDevice;

std::string NameOfTpmIndex(uint32_t index);
// Errors: kDataLoss (not the name of an NV index: nothing else in a TPM can be reached through it).
StatusOr<uint32_t> TpmIndexOfName(std::string_view name);
// A random one of `count` handles from `first` on that the TPM has no index under.
// Errors: as TpmDevice, and kResourceExhausted (the range is as good as full).
StatusOr<std::string> FreeTpmName(TpmDevice& device, uint32_t first, uint32_t count);

}  // namespace cloister::keyring
