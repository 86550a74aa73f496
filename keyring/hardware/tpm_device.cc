// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/tpm_device.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_sys.h>
#include <tss2/tss2_tctildr.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "common/bytes.h"

namespace cloister::keyring {
namespace {

constexpr TPMT_SYM_DEF kSessionCipher = {
    .algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};
constexpr TPMA_NV kIndexAttributes = TPMA_NV_POLICYREAD | TPMA_NV_POLICYWRITE | TPMA_NV_WRITEALL |
                                     TPMA_NV_WRITEDEFINE | (TPM2_NT_ORDINARY << TPMA_NV_TPM2_NT_SHIFT);
constexpr TPMA_NV kCounterAttributes =
    TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA | (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT);
constexpr UINT16 kCounterBytes = 8;

// What the TPM answered without the number of the handle, session or parameter it complains about; 0 for
// answers that are not the TPM's.
TPM2_RC Code(TSS2_RC rc) {
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER) return 0;
  const TPM2_RC code = rc & ~TSS2_RC_LAYER_MASK;
  return code & TPM2_RC_FMT1 ? code & (TPM2_RC_FMT1 | 0x3f) : code;
}

Status ToStatus(TSS2_RC rc) {
  if (rc == TSS2_RC_SUCCESS) return {};
  switch (Code(rc)) {
    case TPM2_RC_LOCKOUT:
      return Unavailable("the TPM is locked after too many wrong PINs; wait or clear the lockout");
    case TPM2_RC_AUTH_FAIL:
      return Unauthenticated("wrong PIN for the TPM");
    case TPM2_RC_BAD_AUTH:
      return Unauthenticated("wrong owner password of the TPM");
    case TPM2_RC_POLICY_FAIL:
    case TPM2_RC_PCR_CHANGED:
      return FailedPrecondition(
          "this machine was started differently than when the keyring was anchored; use the recovery shares "
          "(cloister keys recover) or go back to the earlier boot chain");
    case TPM2_RC_HANDLE:
    case TPM2_RC_NV_UNINITIALIZED:  // Making it was interrupted before the key was in it.
      return NotFound("the TPM does not hold this key: it was destroyed, or this is another TPM");
    case TPM2_RC_ATTRIBUTES:
    case TPM2_RC_AUTH_UNAVAILABLE:
    case TPM2_RC_NV_AUTHORIZATION:
      return FailedPrecondition(
          "the TPM's index is not of the kind it should be: the name is that of something else");
    case TPM2_RC_NV_DEFINED:
      return AlreadyExists("the TPM has a key under this name already");
    case TPM2_RC_NV_SPACE:
      return ResourceExhausted("the TPM has no room for another key: remove NV indexes that nothing uses");
    case TPM2_RC_HIERARCHY:
      return Unavailable("the TPM's owner hierarchy is disabled: enable it in the firmware's settings");
    case 0:
      return Unavailable(
          "the TPM does not answer: check that it is there and that no other program holds it");
    default: {
      const char digits[] = "0123456789abcdef";
      std::string code = "0x";
      for (int shift = 8; shift >= 0; shift -= 4) code += digits[rc >> shift & 15];
      return Unavailable("the TPM refused with code " + code);
    }
  }
}

#define CLOISTER_TPM_RETURN_IF_ERROR(rc) CLOISTER_RETURN_IF_ERROR(ToStatus(rc))

template <class T>
struct WipeAndFree {
  void operator()(T* object) const {
    crypto::Wipe(object, sizeof(T));
    Esys_Free(object);
  }
};
template <class T>
using EsysPtr = std::unique_ptr<T, WipeAndFree<T>>;

// A TPM2B_DIGEST-like structure that is wiped at the end.
template <class T>
struct Sized {
  T value{};
  explicit Sized(std::string_view bytes) {
    CLOISTER_CHECK(bytes.size() <= sizeof(value.buffer));
    value.size = static_cast<UINT16>(bytes.size());
    if (!bytes.empty()) std::memcpy(value.buffer, bytes.data(), bytes.size());
  }
  ~Sized() { crypto::Wipe(&value, sizeof(value)); }
};

TPML_PCR_SELECTION Selection(uint32_t pcr_mask) {
  TPML_PCR_SELECTION out{};
  if (pcr_mask == 0) return out;
  out.count = 1;
  out.pcrSelections[0].hash = TPM2_ALG_SHA256;
  out.pcrSelections[0].sizeofSelect = kTpmPcrCount / 8;
  for (int i = 0; i < kTpmPcrCount / 8; ++i) {
    out.pcrSelections[0].pcrSelect[i] = static_cast<BYTE>(pcr_mask >> (8 * i));
  }
  return out;
}

// The storage root key's usual template on NIST P-256.
TPM2B_PUBLIC PrimaryTemplate() {
  TPM2B_PUBLIC out{};
  out.publicArea.type = TPM2_ALG_ECC;
  out.publicArea.nameAlg = TPM2_ALG_SHA256;
  out.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                    TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
  TPMS_ECC_PARMS& ecc = out.publicArea.parameters.eccDetail;
  ecc.symmetric = {.algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};
  ecc.scheme.scheme = TPM2_ALG_NULL;
  ecc.curveID = TPM2_ECC_NIST_P256;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  return out;
}

// A handle of the conversation that is given back at the end. Sessions and transient objects are flushed in
// the TPM.
class Handle {
 public:
  Handle(ESYS_CONTEXT* esys, bool flush) : esys_(esys), flush_(flush) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (value_ == ESYS_TR_NONE) return;
    if (!flush_ || Esys_FlushContext(esys_, value_) != TSS2_RC_SUCCESS) Esys_TR_Close(esys_, &value_);
  }
  ESYS_TR* out() { return &value_; }
  ESYS_TR get() const { return value_; }
  void Forget() { value_ = ESYS_TR_NONE; }

 private:
  ESYS_CONTEXT* esys_;
  bool flush_;
  ESYS_TR value_ = ESYS_TR_NONE;
};

}  // namespace

struct TpmDevice::Handles {
  TSS2_TCTI_CONTEXT* tcti = nullptr;
  ESYS_CONTEXT* esys = nullptr;
  ESYS_TR primary = ESYS_TR_NONE;
  std::string primary_name;

  ~Handles() {
    if (primary != ESYS_TR_NONE) Esys_FlushContext(esys, primary);
    if (esys != nullptr) Esys_Finalize(&esys);
    if (tcti != nullptr) Tss2_TctiLdr_Finalize(&tcti);
  }

  Status StartSession(TPM2_SE type, ESYS_TR salt_key, TPMA_SESSION attributes, Handle& session) {
    CLOISTER_TPM_RETURN_IF_ERROR(Esys_StartAuthSession(esys, salt_key, ESYS_TR_NONE, ESYS_TR_NONE,
                                                       ESYS_TR_NONE, ESYS_TR_NONE, nullptr, type,
                                                       &kSessionCipher, TPM2_ALG_SHA256, session.out()));
    if (type == TPM2_SE_TRIAL) return {};
    return ToStatus(
        Esys_TRSess_SetAttributes(esys, session.get(), attributes | TPMA_SESSION_CONTINUESESSION, 0xff));
  }

  Status AddPolicy(const TpmPolicy& policy, const Handle& session) {
    if (policy.pcr_mask != 0) {
      const TPM2B_DIGEST as_they_are{};
      const TPML_PCR_SELECTION selection = Selection(policy.pcr_mask);
      CLOISTER_TPM_RETURN_IF_ERROR(Esys_PolicyPCR(esys, session.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                                                  ESYS_TR_NONE, &as_they_are, &selection));
    }
    if (!policy.with_auth) return {};
    return ToStatus(Esys_PolicyAuthValue(esys, session.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE));
  }

  // The session for one command on an index: salted, encrypting, with the policy satisfied as far as it can
  // be.
  Status StartPolicySession(const TpmPolicy& policy, TPMA_SESSION attributes, Handle& session) {
    CLOISTER_RETURN_IF_ERROR(StartSession(TPM2_SE_POLICY, primary, attributes, session));
    return AddPolicy(policy, session);
  }

  // Transient objects and sessions of a conversation that broke off stay in a TPM without a resource manager,
  // where nobody else can be talking to it; a resource manager shows nobody's but this conversation's.
  void FlushLeftovers() {
    TSS2_SYS_CONTEXT* sys = nullptr;
    if (Esys_GetSysContext(esys, &sys) != TSS2_RC_SUCCESS) return;
    for (const UINT32 first : {TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST}) {
      TPMS_CAPABILITY_DATA* raw = nullptr;
      TPMI_YES_NO more = 0;
      if (Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES, first,
                             TPM2_MAX_CAP_HANDLES, &more, &raw) != TSS2_RC_SUCCESS) {
        continue;
      }
      const EsysPtr<TPMS_CAPABILITY_DATA> found(raw);
      for (UINT32 i = 0; i < found->data.handles.count; ++i) {
        Tss2_Sys_FlushContext(sys, found->data.handles.handle[i]);
      }
    }
  }

  TSS2_RC CreatePrimary() {
    // Unsalted, for there is no key yet; it keeps the owner password off the bus.
    Handle session(esys, true);
    TSS2_RC rc =
        Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                              nullptr, TPM2_SE_HMAC, &kSessionCipher, TPM2_ALG_SHA256, session.out());
    if (rc != TSS2_RC_SUCCESS) return rc;
    Esys_TRSess_SetAttributes(esys, session.get(), TPMA_SESSION_CONTINUESESSION, 0xff);
    const TPM2B_SENSITIVE_CREATE sensitive{};
    const TPM2B_PUBLIC area = PrimaryTemplate();
    const TPM2B_DATA outside{};
    const TPML_PCR_SELECTION pcrs{};
    TPM2B_PUBLIC* made = nullptr;
    TPM2B_CREATION_DATA* data = nullptr;
    TPM2B_DIGEST* digest = nullptr;
    TPMT_TK_CREATION* ticket = nullptr;
    rc = Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, session.get(), ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                            &area, &outside, &pcrs, &primary, &made, &data, &digest, &ticket);
    const EsysPtr<TPM2B_PUBLIC> own_made(made);
    const EsysPtr<TPM2B_CREATION_DATA> own_data(data);
    const EsysPtr<TPM2B_DIGEST> own_digest(digest);
    const EsysPtr<TPMT_TK_CREATION> own_ticket(ticket);
    return rc;
  }

  Status NeedPrimary() {
    if (primary != ESYS_TR_NONE) return {};
    TSS2_RC rc = CreatePrimary();
    const TPM2_RC code = Code(rc);
    if (code == TPM2_RC_OBJECT_MEMORY || code == TPM2_RC_SESSION_MEMORY || code == TPM2_RC_SESSION_HANDLES) {
      FlushLeftovers();
      rc = CreatePrimary();
    }
    CLOISTER_TPM_RETURN_IF_ERROR(rc);
    TPM2B_NAME* name = nullptr;
    CLOISTER_TPM_RETURN_IF_ERROR(Esys_TR_GetName(esys, primary, &name));
    const EsysPtr<TPM2B_NAME> own(name);
    primary_name.assign(reinterpret_cast<const char*>(name->name), name->size);
    return {};
  }

  Status Find(uint32_t index, const crypto::Secret& auth, Handle& nv) {
    CLOISTER_TPM_RETURN_IF_ERROR(
        Esys_TR_FromTPMPublic(esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nv.out()));
    const Sized<TPM2B_AUTH> value(auth.view());
    return ToStatus(Esys_TR_SetAuth(esys, nv.get(), &value.value));
  }

  StatusOr<EsysPtr<TPMS_CAPABILITY_DATA>> Capability(TPM2_CAP capability, UINT32 from, UINT32 count) {
    TPMS_CAPABILITY_DATA* data = nullptr;
    TPMI_YES_NO more = 0;
    CLOISTER_TPM_RETURN_IF_ERROR(Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                                    capability, from, count, &more, &data));
    return EsysPtr<TPMS_CAPABILITY_DATA>(data);
  }

  // A bank that the TPM does not keep would leave the policy bound to nothing.
  Status CheckPcrs(uint32_t pcr_mask) {
    if (pcr_mask == 0) return {};
    const TPML_PCR_SELECTION asked = Selection(pcr_mask);
    UINT32 counter = 0;
    TPML_PCR_SELECTION* selected = nullptr;
    TPML_DIGEST* values = nullptr;
    CLOISTER_TPM_RETURN_IF_ERROR(
        Esys_PCR_Read(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &asked, &counter, &selected, &values));
    const EsysPtr<TPML_PCR_SELECTION> own_selected(selected);
    const EsysPtr<TPML_DIGEST> own_values(values);
    if (values->count != static_cast<UINT32>(std::popcount(pcr_mask))) {
      return FailedPrecondition("the TPM does not keep the chosen PCRs with SHA-256: choose others");
    }
    return {};
  }

  StatusOr<EsysPtr<TPM2B_DIGEST>> PolicyDigest(const TpmPolicy& policy) {
    Handle trial(esys, true);
    CLOISTER_RETURN_IF_ERROR(StartSession(TPM2_SE_TRIAL, ESYS_TR_NONE, 0, trial));
    CLOISTER_RETURN_IF_ERROR(AddPolicy(policy, trial));
    TPM2B_DIGEST* digest = nullptr;
    CLOISTER_TPM_RETURN_IF_ERROR(
        Esys_PolicyGetDigest(esys, trial.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest));
    return EsysPtr<TPM2B_DIGEST>(digest);
  }
};

TpmDevice::TpmDevice(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {}
TpmDevice::~TpmDevice() = default;

StatusOr<std::unique_ptr<TpmDevice>> TpmDevice::Connect(const std::string& tcti,
                                                        const crypto::Secret& owner_auth) {
  static std::once_flag quiet;
  std::call_once(quiet, [] { ::setenv("TSS2_LOG", "all+none", 0); });
  auto handles = std::make_unique<Handles>();
  CLOISTER_TPM_RETURN_IF_ERROR(Tss2_TctiLdr_Initialize(tcti.c_str(), &handles->tcti));
  CLOISTER_TPM_RETURN_IF_ERROR(Esys_Initialize(&handles->esys, handles->tcti, nullptr));
  const Sized<TPM2B_AUTH> owner(owner_auth.view());
  CLOISTER_TPM_RETURN_IF_ERROR(Esys_TR_SetAuth(handles->esys, ESYS_TR_RH_OWNER, &owner.value));
  return std::unique_ptr<TpmDevice>(new TpmDevice(std::move(handles)));
}

StatusOr<std::string> TpmDevice::Identity() {
  CLOISTER_ASSIGN_OR_RETURN(const auto data,
                            handles_->Capability(TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER, 16));
  std::string maker = "unknown maker", firmware;
  for (UINT32 i = 0; i < data->data.tpmProperties.count; ++i) {
    const TPMS_TAGGED_PROPERTY& property = data->data.tpmProperties.tpmProperty[i];
    if (property.property == TPM2_PT_MANUFACTURER) {
      maker.clear();
      for (int shift = 24; shift >= 0; shift -= 8) {
        const char letter = static_cast<char>(property.value >> shift);
        if (std::isalnum(static_cast<unsigned char>(letter))) maker += letter;
      }
    } else if (property.property == TPM2_PT_FIRMWARE_VERSION_1) {
      firmware = ", firmware " + std::to_string(property.value >> 16) + "." +
                 std::to_string(property.value & 0xffff);
    }
  }
  return maker + firmware;
}

StatusOr<std::vector<uint32_t>> TpmDevice::Indexes(uint32_t first, uint32_t count) {
  std::vector<uint32_t> out;
  for (uint32_t from = first;;) {
    CLOISTER_ASSIGN_OR_RETURN(const auto data,
                              handles_->Capability(TPM2_CAP_HANDLES, from, TPM2_MAX_CAP_HANDLES));
    const TPML_HANDLE& handles = data->data.handles;
    for (UINT32 i = 0; i < handles.count; ++i) {
      if (handles.handle[i] - first >= count) return out;
      out.push_back(handles.handle[i]);
    }
    if (handles.count == 0) return out;
    from = handles.handle[handles.count - 1] + 1;
  }
}

StatusOr<bool> TpmDevice::Has(uint32_t index) {
  CLOISTER_RETURN_IF_ERROR(handles_->NeedPrimary());  // With its hierarchy disabled every index looks absent.
  Handle nv(handles_->esys, false);
  const Status found = handles_->Find(index, {}, nv);
  if (found.code() == StatusCode::kNotFound) return false;
  CLOISTER_RETURN_IF_ERROR(found);
  return true;
}

StatusOr<std::string> TpmDevice::PrimaryName() {
  CLOISTER_RETURN_IF_ERROR(handles_->NeedPrimary());
  return handles_->primary_name;
}

Status TpmDevice::Define(uint32_t index, const TpmPolicy& policy, const crypto::Secret& auth, size_t size) {
  CLOISTER_CHECK(policy.with_auth == !auth.empty());
  CLOISTER_RETURN_IF_ERROR(handles_->NeedPrimary());
  CLOISTER_RETURN_IF_ERROR(handles_->CheckPcrs(policy.pcr_mask));
  CLOISTER_ASSIGN_OR_RETURN(const auto digest, handles_->PolicyDigest(policy));
  TPM2B_NV_PUBLIC area{};
  area.nvPublic.nvIndex = index;
  area.nvPublic.nameAlg = TPM2_ALG_SHA256;
  // With an authorisation value wrong guesses count towards the lockout; without one there is nothing to
  // guess.
  area.nvPublic.attributes = kIndexAttributes | (policy.with_auth ? 0 : TPMA_NV_NO_DA);
  area.nvPublic.authPolicy = *digest;
  area.nvPublic.dataSize = static_cast<UINT16>(size);
  Handle session(handles_->esys, true);
  CLOISTER_RETURN_IF_ERROR(
      handles_->StartSession(TPM2_SE_HMAC, handles_->primary, TPMA_SESSION_DECRYPT, session));
  const Sized<TPM2B_AUTH> value(auth.view());
  Handle nv(handles_->esys, false);
  return ToStatus(Esys_NV_DefineSpace(handles_->esys, ESYS_TR_RH_OWNER, session.get(), ESYS_TR_NONE,
                                      ESYS_TR_NONE, &value.value, &area, nv.out()));
}

Status TpmDevice::Write(uint32_t index, const TpmPolicy& policy, const crypto::Secret& auth,
                        const crypto::Secret& data) {
  CLOISTER_RETURN_IF_ERROR(handles_->NeedPrimary());
  Handle nv(handles_->esys, false);
  CLOISTER_RETURN_IF_ERROR(handles_->Find(index, auth, nv));
  {
    Handle session(handles_->esys, true);
    CLOISTER_RETURN_IF_ERROR(handles_->StartPolicySession(policy, TPMA_SESSION_DECRYPT, session));
    const Sized<TPM2B_MAX_NV_BUFFER> buffer(data.view());
    CLOISTER_TPM_RETURN_IF_ERROR(Esys_NV_Write(handles_->esys, nv.get(), nv.get(), session.get(),
                                               ESYS_TR_NONE, ESYS_TR_NONE, &buffer.value, 0));
  }
  Handle session(handles_->esys, true);
  CLOISTER_RETURN_IF_ERROR(handles_->StartPolicySession(policy, 0, session));
  return ToStatus(
      Esys_NV_WriteLock(handles_->esys, nv.get(), nv.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE));
}

StatusOr<crypto::Secret> TpmDevice::Read(uint32_t index, const TpmPolicy& policy, const crypto::Secret& auth,
                                         size_t size) {
  CLOISTER_RETURN_IF_ERROR(handles_->NeedPrimary());
  Handle nv(handles_->esys, false);
  CLOISTER_RETURN_IF_ERROR(handles_->Find(index, auth, nv));
  Handle session(handles_->esys, true);
  CLOISTER_RETURN_IF_ERROR(handles_->StartPolicySession(policy, TPMA_SESSION_ENCRYPT, session));
  TPM2B_MAX_NV_BUFFER* data = nullptr;
  CLOISTER_TPM_RETURN_IF_ERROR(Esys_NV_Read(handles_->esys, nv.get(), nv.get(), session.get(), ESYS_TR_NONE,
                                            ESYS_TR_NONE, static_cast<UINT16>(size), 0, &data));
  const EsysPtr<TPM2B_MAX_NV_BUFFER> own(data);
  if (data->size != size) return NotFound("the TPM's index is not one of this appliance");
  return crypto::Secret(std::string_view(reinterpret_cast<const char*>(data->buffer), data->size));
}

Status TpmDevice::Undefine(uint32_t index) {
  CLOISTER_RETURN_IF_ERROR(handles_->NeedPrimary());
  Handle nv(handles_->esys, false);
  CLOISTER_RETURN_IF_ERROR(handles_->Find(index, {}, nv));
  Handle session(handles_->esys, true);
  CLOISTER_RETURN_IF_ERROR(handles_->StartSession(TPM2_SE_HMAC, handles_->primary, 0, session));
  const Status undefined = ToStatus(Esys_NV_UndefineSpace(handles_->esys, ESYS_TR_RH_OWNER, nv.get(),
                                                          session.get(), ESYS_TR_NONE, ESYS_TR_NONE));
  if (undefined.ok()) nv.Forget();  // The library has closed it.
  return undefined;
}

Status TpmDevice::DefineCounter(uint32_t index) {
  CLOISTER_RETURN_IF_ERROR(handles_->NeedPrimary());
  TPM2B_NV_PUBLIC area{};
  area.nvPublic.nvIndex = index;
  area.nvPublic.nameAlg = TPM2_ALG_SHA256;
  area.nvPublic.attributes = kCounterAttributes;
  area.nvPublic.dataSize = kCounterBytes;
  Handle session(handles_->esys, true);
  CLOISTER_RETURN_IF_ERROR(handles_->StartSession(TPM2_SE_HMAC, handles_->primary, 0, session));
  const TPM2B_AUTH none{};
  Handle nv(handles_->esys, false);
  return ToStatus(Esys_NV_DefineSpace(handles_->esys, ESYS_TR_RH_OWNER, session.get(), ESYS_TR_NONE,
                                      ESYS_TR_NONE, &none, &area, nv.out()));
}

Status TpmDevice::Increment(uint32_t index) {
  CLOISTER_RETURN_IF_ERROR(handles_->NeedPrimary());
  Handle nv(handles_->esys, false);
  CLOISTER_RETURN_IF_ERROR(handles_->Find(index, {}, nv));
  Handle session(handles_->esys, true);
  CLOISTER_RETURN_IF_ERROR(handles_->StartSession(TPM2_SE_HMAC, handles_->primary, 0, session));
  return ToStatus(
      Esys_NV_Increment(handles_->esys, nv.get(), nv.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE));
}

StatusOr<uint64_t> TpmDevice::ReadCounter(uint32_t index) {
  CLOISTER_RETURN_IF_ERROR(handles_->NeedPrimary());
  Handle nv(handles_->esys, false);
  CLOISTER_RETURN_IF_ERROR(handles_->Find(index, {}, nv));
  Handle session(handles_->esys, true);
  CLOISTER_RETURN_IF_ERROR(handles_->StartSession(TPM2_SE_HMAC, handles_->primary, 0, session));
  TPM2B_MAX_NV_BUFFER* data = nullptr;
  CLOISTER_TPM_RETURN_IF_ERROR(Esys_NV_Read(handles_->esys, nv.get(), nv.get(), session.get(), ESYS_TR_NONE,
                                            ESYS_TR_NONE, kCounterBytes, 0, &data));
  const EsysPtr<TPM2B_MAX_NV_BUFFER> own(data);
  return ByteReader({reinterpret_cast<const char*>(data->buffer), data->size}).U64();
}

}  // namespace cloister::keyring
