// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/tpm_counter.h"

#include "keyring/hardware/tpm_device.h"
#include "keyring/hardware/tpm_names.h"

namespace cloister::keyring {

TpmCounter::TpmCounter(TpmOptions options, crypto::Secret owner_auth)
    : options_(std::move(options)), owner_auth_(std::move(owner_auth)) {}

StatusOr<std::string> TpmCounter::NewName() {
  CLOISTER_ASSIGN_OR_RETURN(const auto device, TpmDevice::Connect(options_.tcti, owner_auth_));
  return FreeTpmName(*device, options_.nv_first, options_.nv_count);
}

StatusOr<uint64_t> TpmCounter::Create(std::string_view name) {
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t index, TpmIndexOfName(name));
  CLOISTER_ASSIGN_OR_RETURN(const auto device, TpmDevice::Connect(options_.tcti, owner_auth_));
  CLOISTER_RETURN_IF_ERROR(device->DefineCounter(index));
  // A counter has no value before it counted once.
  CLOISTER_RETURN_IF_ERROR(device->Increment(index));
  return device->ReadCounter(index);
}

StatusOr<uint64_t> TpmCounter::Increment(std::string_view name) {
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t index, TpmIndexOfName(name));
  CLOISTER_ASSIGN_OR_RETURN(const auto device, TpmDevice::Connect(options_.tcti, owner_auth_));
  CLOISTER_RETURN_IF_ERROR(device->Increment(index));
  return device->ReadCounter(index);
}

StatusOr<uint64_t> TpmCounter::Read(std::string_view name) {
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t index, TpmIndexOfName(name));
  CLOISTER_ASSIGN_OR_RETURN(const auto device, TpmDevice::Connect(options_.tcti, owner_auth_));
  return device->ReadCounter(index);
}

}  // namespace cloister::keyring
