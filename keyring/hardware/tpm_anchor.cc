// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/tpm_anchor.h"

#include "common/bytes.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "keyring/hardware/tpm_device.h"
#include "keyring/hardware/tpm_names.h"

namespace cloister::keyring {
namespace {

constexpr uint8_t kBlobVersion = 1;
constexpr size_t kSecretBytes = 32;
constexpr size_t kPrimaryNameBytes = 34;  // Two of algorithm, 32 of SHA-256.

struct Blob {
  TpmPolicy policy;
  std::string primary_name;
  std::string check;  // Binds name, context and the rest of the blob to the secret.
};

std::string UncheckedPart(const Blob& blob) {
  ByteWriter out;
  out.U8(kBlobVersion);
  out.U8(blob.policy.with_auth ? 1 : 0);
  out.U32(blob.policy.pcr_mask);
  out.Raw(blob.primary_name);
  return out.Take();
}

StatusOr<Blob> Parse(std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.U8(), with_auth = in.U8();
  Blob blob;
  blob.policy = {in.U32(), with_auth == 1};
  blob.primary_name = in.Raw(kPrimaryNameBytes);
  blob.check = in.Raw(crypto::kSha256Bytes);
  CLOISTER_RETURN_IF_ERROR(in.Finish("the keyring's TPM part"));
  if (version != kBlobVersion || with_auth > 1 || blob.policy.pcr_mask >> kTpmPcrCount != 0) {
    return DataLoss("the keyring's TPM part is malformed");
  }
  return blob;
}

crypto::Secret Derive(const crypto::Secret& secret, std::string_view context, std::string_view purpose) {
  return crypto::HkdfSha512(secret.view(), context, purpose, kEpochKeyBytes);
}

std::string Check(const crypto::Secret& secret, std::string_view context, std::string_view name,
                  const Blob& blob) {
  const crypto::Secret key = Derive(secret, context, "cloister/v1/keyring/tpm-check");
  return crypto::HmacSha256(key.view(), std::string(name) + UncheckedPart(blob));
}

// What the index is authorised with. The PIN itself stays in this process, and another index takes another
// value.
crypto::Secret AuthOf(const crypto::Secret& pin, std::string_view name) {
  crypto::Secret auth = crypto::HkdfSha256(pin.view(), name, "cloister/v1/keyring/tpm-pin", kSecretBytes);
  // A TPM drops zeros at the end of an authorisation value; a TSS that does not fails one time in 256.
  auth.data()[auth.size() - 1] = static_cast<char>(auth.data()[auth.size() - 1] | 1);
  return auth;
}

StatusOr<uint32_t> MaskOf(const std::vector<int>& pcrs) {
  uint32_t mask = 0;
  for (const int pcr : pcrs) {
    if (pcr < 0 || pcr >= kTpmPcrCount) return InvalidArgument("a TPM has the PCRs 0 to 23");
    mask |= 1u << pcr;
  }
  if (pcrs.size() > kTpmPcrsMax) return InvalidArgument("at most 8 PCRs can be bound");
  return mask;
}

}  // namespace

TpmAnchor::TpmAnchor(TpmOptions options, crypto::Secret pin, crypto::Secret owner_auth)
    : options_(std::move(options)), pin_(std::move(pin)), owner_auth_(std::move(owner_auth)) {}

std::string TpmAnchor::Describe() const {
  std::string out = "TPM 2.0 (";
  const auto device = TpmDevice::Connect(options_.tcti, owner_auth_);
  const auto identity = device.ok() ? (*device)->Identity() : device.status();
  out += identity.ok() ? *identity : "not reachable";
  out += ")";
  for (size_t i = 0; i < options_.pcrs.size(); ++i) {
    out += (i == 0 ? ", after the boot chain of PCR " : " and ") + std::to_string(options_.pcrs[i]);
  }
  return out + (pin_.empty() ? ", without a PIN" : ", with a PIN");
}

StatusOr<std::string> TpmAnchor::NewName() {
  CLOISTER_ASSIGN_OR_RETURN(const auto device, TpmDevice::Connect(options_.tcti, owner_auth_));
  return FreeTpmName(*device, options_.nv_first, options_.nv_count);
}

StatusOr<NewEpoch> TpmAnchor::Create(std::string_view name, std::string_view context) {
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t index, TpmIndexOfName(name));
  Blob blob;
  CLOISTER_ASSIGN_OR_RETURN(blob.policy.pcr_mask, MaskOf(options_.pcrs));
  blob.policy.with_auth = !pin_.empty();
  if (blob.policy.pcr_mask == 0 && !blob.policy.with_auth) {
    return InvalidArgument(
        "a TPM key needs PCRs, a PIN or both; with neither, whoever starts the machine opens it");
  }
  const crypto::Secret auth = pin_.empty() ? crypto::Secret() : AuthOf(pin_, name);
  CLOISTER_ASSIGN_OR_RETURN(const auto device, TpmDevice::Connect(options_.tcti, owner_auth_));
  CLOISTER_ASSIGN_OR_RETURN(blob.primary_name, device->PrimaryName());
  const crypto::Secret secret = crypto::RandomSecret(kSecretBytes);
  CLOISTER_RETURN_IF_ERROR(device->Define(index, blob.policy, auth, kSecretBytes));
  if (const Status written = device->Write(index, blob.policy, auth, secret); !written.ok()) {
    // An index without a key only takes up room; when this fails too, the keyring knows the name and destroys
    // it.
    const Status undefined = device->Undefine(index);
    static_cast<void>(undefined);
    return written;
  }
  blob.check = Check(secret, context, name, blob);
  return NewEpoch{Derive(secret, context, "cloister/v1/keyring/tpm"),
                  {std::string(name), UncheckedPart(blob) + blob.check}};
}

StatusOr<crypto::Secret> TpmAnchor::Open(const EpochLocation& location, std::string_view context) {
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t index, TpmIndexOfName(location.name));
  CLOISTER_ASSIGN_OR_RETURN(const Blob blob, Parse(location.blob));
  CLOISTER_ASSIGN_OR_RETURN(const auto device, TpmDevice::Connect(options_.tcti, owner_auth_));
  CLOISTER_ASSIGN_OR_RETURN(const bool there, device->Has(index));
  if (!there) return NotFound("the TPM does not hold this key: it was destroyed, or this is another TPM");
  if (blob.policy.with_auth && pin_.empty()) return Unauthenticated("the keyring's TPM key needs its PIN");
  CLOISTER_ASSIGN_OR_RETURN(const std::string primary_name, device->PrimaryName());
  if (primary_name != blob.primary_name) {
    return DataLoss(
        "the TPM shows another primary key than when the keyring was anchored: the keyring was altered, or "
        "something "
        "stands between processor and TPM");
  }
  const crypto::Secret auth = blob.policy.with_auth ? AuthOf(pin_, location.name) : crypto::Secret();
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret secret,
                            device->Read(index, blob.policy, auth, kSecretBytes));
  if (!crypto::ConstantTimeEqual(Check(secret, context, location.name, blob), blob.check)) {
    return DataLoss("the keyring's TPM part was altered or belongs to another keyring or epoch");
  }
  return Derive(secret, context, "cloister/v1/keyring/tpm");
}

Status TpmAnchor::Destroy(std::string_view name) {
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t index, TpmIndexOfName(name));
  CLOISTER_ASSIGN_OR_RETURN(const auto device, TpmDevice::Connect(options_.tcti, owner_auth_));
  if (const Status undefined = device->Undefine(index);
      !undefined.ok() && undefined.code() != StatusCode::kNotFound) {
    return undefined;
  }
  CLOISTER_ASSIGN_OR_RETURN(const bool there, device->Has(index));
  if (there) return Unavailable("the TPM still holds a key that it was told to destroy: try again");
  return {};
}

}  // namespace cloister::keyring
