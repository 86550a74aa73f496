// SPDX-License-Identifier: Apache-2.0
// One conversation with a TPM 2.0: small secrets in NV indexes of the owner hierarchy that only a policy
// opens. Does not know epochs, names or files. What is secret crosses the bus encrypted, under sessions
// salted to a primary key of the TPM. Not thread-safe; every call blocks on the device. SPEC: TCG TPM 2.0
// Library, parts 1 to 3.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::keyring {

constexpr int kTpmPcrCount = 24;
constexpr size_t kTpmPcrsMax = 8;  // What one TPM2_PCR_Read answers.

// What a read or a write of an index must meet: the PCRs (SHA-256 bank) as they were when it was made, and,
// with `with_auth`, its authorisation value.
struct TpmPolicy {
  uint32_t pcr_mask = 0;  // Bit i: PCR i. At most kTpmPcrsMax of them.
  bool with_auth = false;
};

// Errors of every call: kUnavailable (no answer, or locked out), kUnauthenticated (authorisation value or
// owner password), kFailedPrecondition (the policy is not met now), kNotFound (no such index),
// kResourceExhausted (no room), kAlreadyExists (the index is taken).
class TpmDevice {
 public:
  // `tcti` as the TSS takes it, such as "device:/dev/tpmrm0" or "swtpm:path=/run/tpm". `owner_auth` is the
  // password of the owner hierarchy, empty on most machines. Sets TSS2_LOG to "all+none" unless the
  // environment has it: the TSS else writes every refusal to stderr.
  static StatusOr<std::unique_ptr<TpmDevice>> Connect(const std::string& tcti,
                                                      const crypto::Secret& owner_auth);
  ~TpmDevice();

  StatusOr<std::string> Identity();  // Such as "IBM, firmware 8217.5752".
  // NV indexes from `first` on, at most `count` handles further.
  StatusOr<std::vector<uint32_t>> Indexes(uint32_t first, uint32_t count);
  StatusOr<bool> Has(uint32_t index);
  // The name (a digest of the public part) of the primary key that sessions are salted to. The same as long
  // as the TPM is not cleared, so that who remembers it notices something between processor and TPM.
  StatusOr<std::string> PrimaryName();

  // An index of `size` bytes, bound to the present values of the policy's PCRs. Also kFailedPrecondition when
  // the TPM has no SHA-256 bank of them. `auth` is empty without policy.with_auth.
  Status Define(uint32_t index, const TpmPolicy& policy, const crypto::Secret& auth, size_t size);
  // Writes all of it, once: the index is then locked against writing for good.
  Status Write(uint32_t index, const TpmPolicy& policy, const crypto::Secret& auth,
               const crypto::Secret& data);
  StatusOr<crypto::Secret> Read(uint32_t index, const TpmPolicy& policy, const crypto::Secret& auth,
                                size_t size);
  Status Undefine(uint32_t index);

  // Counters need no authorisation; what they answer is authenticated. An index that is none:
  // kFailedPrecondition.
  Status DefineCounter(uint32_t index);
  Status Increment(uint32_t index);
  StatusOr<uint64_t> ReadCounter(uint32_t index);

 private:
  struct Handles;
  explicit TpmDevice(std::unique_ptr<Handles> handles);
  std::unique_ptr<Handles> handles_;
};

}  // namespace cloister::keyring
