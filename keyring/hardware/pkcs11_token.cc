// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/pkcs11_token.h"

#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>

#include <array>
#include <vector>

#include "crypto/random.h"

namespace cloister::keyring {
namespace {

constexpr CK_ULONG kTokenKeyBytes = 32;
constexpr size_t kGcmIvBytes = 12;
constexpr size_t kGcmTagBits = 128;
constexpr size_t kWrappedBytesMax = 256;
constexpr CK_ULONG kObjectsPerSearch = 16;

Status ToStatus(CK_RV rv) {
  switch (rv) {
    case CKR_OK:
      return {};
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
      return Unauthenticated("wrong PIN for the token");
    case CKR_PIN_LOCKED:
      return Unavailable(
          "the token's PIN is locked after too many wrong ones; its security officer must set a new PIN");
    case CKR_PIN_EXPIRED:
    case CKR_USER_PIN_NOT_INITIALIZED:
      return Unavailable("the token's PIN is not set or expired; set one with the maker's tool");
    case CKR_DEVICE_MEMORY:
      return ResourceExhausted("the token has no room for another key: remove keys that nothing uses");
    case CKR_TOKEN_WRITE_PROTECTED:
    case CKR_SESSION_READ_ONLY:
      return FailedPrecondition("the token is write-protected: lift that, then try again");
    default:
      return Unavailable("the token does not answer (" + std::string(p11_kit_strerror(rv)) +
                         "): check that it is connected, then try again");
  }
}

#define CLOISTER_P11_RETURN_IF_ERROR(rv) CLOISTER_RETURN_IF_ERROR(ToStatus(rv))

CK_ATTRIBUTE Attribute(CK_ATTRIBUTE_TYPE type, void* value, size_t size) { return {type, value, size}; }

template <class T>
CK_ATTRIBUTE Attribute(CK_ATTRIBUTE_TYPE type, T& value) {
  return {type, &value, sizeof(value)};
}

// PKCS #11 is not const-correct; inputs are only read.
CK_ATTRIBUTE Attribute(CK_ATTRIBUTE_TYPE type, std::string_view value) {
  return {type, const_cast<char*>(value.data()), value.size()};
}
unsigned char* Bytes(std::string_view value) {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(value.data()));
}

// Tokens do not agree on what to say of data that does not authenticate; some say the same of an inner fault.
bool MayMeanAltered(CK_RV rv) {
  constexpr CK_RV kAeadDecryptFailed = 0x42;  // PKCS #11 3.0; not in this header.
  switch (rv) {
    case CKR_GENERAL_ERROR:
    case CKR_FUNCTION_FAILED:
    case CKR_DATA_INVALID:
    case CKR_DATA_LEN_RANGE:
    case CKR_ENCRYPTED_DATA_INVALID:
    case CKR_ENCRYPTED_DATA_LEN_RANGE:
    case CKR_WRAPPED_KEY_INVALID:
    case CKR_WRAPPED_KEY_LEN_RANGE:
    case CKR_SIGNATURE_INVALID:
    case kAeadDecryptFailed:
      return true;
    default:
      return false;
  }
}

// Fixed-width fields are padded with blanks.
std::string Trimmed(const unsigned char* field, size_t size) {
  std::string out(reinterpret_cast<const char*>(field), size);
  out.erase(out.find_last_not_of(" \0", std::string::npos, 2) + 1);
  return out;
}

// The module, loaded and initialised.
class Module {
 public:
  static StatusOr<std::unique_ptr<Module>> Load(const std::string& path) {
    auto module = std::unique_ptr<Module>(new Module);
    // Unmanaged: managed modules need memory that is writable and executable, which hardened services may not
    // have.
    module->functions_ =
        p11_kit_module_load(path.c_str(), P11_KIT_MODULE_UNMANAGED | P11_KIT_MODULE_CRITICAL);
    if (module->functions_ == nullptr) {
      return Unavailable(
          "the PKCS#11 module cannot be loaded: check its path and that its maker's software is there");
    }
    const CK_RV rv = p11_kit_module_initialize(module->functions_);
    if (rv != CKR_OK) {
      return Unavailable("the PKCS#11 module does not start (" + std::string(p11_kit_strerror(rv)) +
                         "): check its own configuration");
    }
    module->initialized_ = true;
    return module;
  }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  ~Module() {
    if (initialized_) p11_kit_module_finalize(functions_);
    if (functions_ != nullptr) p11_kit_module_release(functions_);
  }
  CK_FUNCTION_LIST* operator->() const { return functions_; }

  // By label, for slot numbers change; an uninitialised token has none.
  StatusOr<CK_SLOT_ID> FindToken(const std::string& label, CK_TOKEN_INFO& info) const {
    CK_ULONG count = 0;
    CLOISTER_P11_RETURN_IF_ERROR(functions_->C_GetSlotList(CK_TRUE, nullptr, &count));
    std::vector<CK_SLOT_ID> slots(count);
    CLOISTER_P11_RETURN_IF_ERROR(functions_->C_GetSlotList(CK_TRUE, slots.data(), &count));
    slots.resize(count);
    for (const CK_SLOT_ID slot : slots) {
      if (functions_->C_GetTokenInfo(slot, &info) == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) != 0 &&
          Trimmed(info.label, sizeof(info.label)) == label) {
        return slot;
      }
    }
    return Unavailable("the token '" + label + "' is not there; connect it");
  }

 private:
  Module() = default;
  CK_FUNCTION_LIST* functions_ = nullptr;
  bool initialized_ = false;
};

// A read-write session of a user who is logged in, until it ends.
class Session {
 public:
  static StatusOr<std::unique_ptr<Session>> Open(const std::string& path, const std::string& label,
                                                 const crypto::Secret& pin) {
    CLOISTER_ASSIGN_OR_RETURN(auto module, Module::Load(path));
    CK_TOKEN_INFO info{};
    CLOISTER_ASSIGN_OR_RETURN(const CK_SLOT_ID slot, module->FindToken(label, info));
    if ((info.flags & CKF_USER_PIN_LOCKED) != 0) return ToStatus(CKR_PIN_LOCKED);
    auto session = std::unique_ptr<Session>(new Session(std::move(module), slot));
    CLOISTER_RETURN_IF_ERROR(session->Reopen());
    // A reader with a keypad of its own asks for the PIN itself.
    const bool keypad = (info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0 && pin.empty();
    if (pin.empty() && !keypad) return Unauthenticated("the token needs its PIN");
    const auto login = [&] {
      return session->module()->C_Login(session->handle_, CKU_USER, keypad ? nullptr : Bytes(pin.view()),
                                        pin.size());
    };
    CK_RV rv = login();
    if (rv == CKR_USER_ALREADY_LOGGED_IN) {  // Somebody else's login says nothing about this PIN.
      session->module()->C_Logout(session->handle_);
      rv = login();
    }
    CLOISTER_P11_RETURN_IF_ERROR(rv);
    session->logged_in_ = true;
    return session;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    if (!open_) return;
    if (logged_in_) module()->C_Logout(handle_);
    module()->C_CloseSession(handle_);
  }

  Module& module() { return *module_; }
  CK_SESSION_HANDLE handle() const { return handle_; }

  // Another session beside the present one, which keeps the login; that one is then closed.
  Status Reopen() {
    CK_SESSION_HANDLE next = 0;
    CLOISTER_P11_RETURN_IF_ERROR(
        module()->C_OpenSession(slot_, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &next));
    if (open_) module()->C_CloseSession(handle_);
    handle_ = next;
    open_ = true;
    return {};
  }

  StatusOr<std::vector<CK_OBJECT_HANDLE>> Find(std::string_view id) {
    CK_OBJECT_CLASS kind = CKO_SECRET_KEY;
    CK_BBOOL yes = CK_TRUE;
    std::array wanted{Attribute(CKA_CLASS, kind), Attribute(CKA_TOKEN, yes), Attribute(CKA_ID, id)};
    CLOISTER_P11_RETURN_IF_ERROR(module()->C_FindObjectsInit(handle_, wanted.data(), wanted.size()));
    std::vector<CK_OBJECT_HANDLE> found(kObjectsPerSearch);
    CK_ULONG count = 0;
    const CK_RV rv = module()->C_FindObjects(handle_, found.data(), found.size(), &count);
    module()->C_FindObjectsFinal(handle_);
    CLOISTER_P11_RETURN_IF_ERROR(rv);
    found.resize(count);
    return found;
  }

  StatusOr<CK_OBJECT_HANDLE> FindOne(std::string_view id) {
    CLOISTER_ASSIGN_OR_RETURN(const auto found, Find(id));
    if (found.empty()) {
      return NotFound("the token does not hold this key: it was destroyed, or this is another token");
    }
    return found.front();
  }

  StatusOr<WrapMethod> BestMethod() {
    const auto offers = [&](CK_MECHANISM_TYPE mechanism, CK_FLAGS flags) {
      CK_MECHANISM_INFO info{};
      return module()->C_GetMechanismInfo(slot_, mechanism, &info) == CKR_OK && (info.flags & flags) == flags;
    };
    if (offers(CKM_AES_GCM, CKF_ENCRYPT | CKF_DECRYPT)) return WrapMethod::kAesGcm;
    if (offers(CKM_AES_KEY_WRAP_PAD, CKF_WRAP | CKF_UNWRAP)) return WrapMethod::kAesKeyWrapPad;
    return FailedPrecondition(
        "the token offers neither AES-GCM nor AES key wrap with padding: use another one");
  }

 private:
  Session(std::unique_ptr<Module> module, CK_SLOT_ID slot) : module_(std::move(module)), slot_(slot) {}
  std::unique_ptr<Module> module_;
  CK_SLOT_ID slot_;
  CK_SESSION_HANDLE handle_ = 0;
  bool open_ = false;
  bool logged_in_ = false;
};

// A key may do what its method needs and nothing else: one that both wraps and decrypts gives out what it
// wraps.
StatusOr<CK_OBJECT_HANDLE> Generate(Session& session, std::string_view id, WrapMethod method) {
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_BBOOL encrypts = method == WrapMethod::kAesGcm ? CK_TRUE : CK_FALSE;
  CK_BBOOL wraps = method == WrapMethod::kAesKeyWrapPad ? CK_TRUE : CK_FALSE;
  CK_ULONG size = kTokenKeyBytes;
  std::array wanted{Attribute(CKA_TOKEN, yes),
                    Attribute(CKA_PRIVATE, yes),
                    Attribute(CKA_SENSITIVE, yes),
                    Attribute(CKA_EXTRACTABLE, no),
                    Attribute(CKA_ENCRYPT, encrypts),
                    Attribute(CKA_DECRYPT, encrypts),
                    Attribute(CKA_WRAP, wraps),
                    Attribute(CKA_UNWRAP, wraps),
                    Attribute(CKA_VALUE_LEN, size),
                    Attribute(CKA_ID, id),
                    Attribute(CKA_LABEL, std::string_view("cloister epoch"))};
  CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = 0;
  CLOISTER_P11_RETURN_IF_ERROR(
      session.module()->C_GenerateKey(session.handle(), &mechanism, wanted.data(), wanted.size(), &key));
  // What the erasure rests on is asked, not assumed.
  CK_BBOOL sensitive = CK_FALSE, extractable = CK_TRUE;
  std::array got{Attribute(CKA_SENSITIVE, sensitive), Attribute(CKA_EXTRACTABLE, extractable)};
  const CK_RV rv = session.module()->C_GetAttributeValue(session.handle(), key, got.data(), got.size());
  if (rv != CKR_OK || sensitive != CK_TRUE || extractable != CK_FALSE) {
    session.module()->C_DestroyObject(session.handle(), key);
    CLOISTER_P11_RETURN_IF_ERROR(rv);
    return FailedPrecondition("the token made a key that it would give out: use another token");
  }
  return key;
}

CK_GCM_PARAMS GcmParameters(std::string& iv, std::string_view aad) {
  return {Bytes(iv), iv.size(), iv.size() * 8, Bytes(aad), aad.size(), kGcmTagBits};
}

// The attributes of a working key while it is an object of one session.
struct WorkingKeyTemplate {
  CK_OBJECT_CLASS kind = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_GENERIC_SECRET;
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  std::vector<CK_ATTRIBUTE> attributes{Attribute(CKA_CLASS, kind), Attribute(CKA_KEY_TYPE, type),
                                       Attribute(CKA_TOKEN, no), Attribute(CKA_SENSITIVE, no),
                                       Attribute(CKA_EXTRACTABLE, yes)};
  WorkingKeyTemplate() = default;
  WorkingKeyTemplate(const WorkingKeyTemplate&) = delete;
  WorkingKeyTemplate& operator=(const WorkingKeyTemplate&) = delete;
};

CK_RV Wrap(Session& session, CK_OBJECT_HANDLE under, std::string_view aad, const crypto::Secret& key,
           WrappedKey& out) {
  out.bytes.resize(kWrappedBytesMax);
  CK_ULONG size = out.bytes.size();
  CK_RV rv = CKR_OK;
  if (out.method == WrapMethod::kAesGcm) {
    out.iv = crypto::RandomBytes(kGcmIvBytes);
    // The token may put an IV of its own in its place; it is stored as it is afterwards.
    CK_GCM_PARAMS gcm = GcmParameters(out.iv, aad);
    CK_MECHANISM mechanism{CKM_AES_GCM, &gcm, sizeof(gcm)};
    rv = session.module()->C_EncryptInit(session.handle(), &mechanism, under);
    if (rv != CKR_OK) return rv;
    rv =
        session.module()->C_Encrypt(session.handle(), Bytes(key.view()), key.size(), Bytes(out.bytes), &size);
  } else {
    WorkingKeyTemplate wanted;
    wanted.attributes.push_back(Attribute(CKA_VALUE, key.view()));
    CK_OBJECT_HANDLE object = 0;
    rv = session.module()->C_CreateObject(session.handle(), wanted.attributes.data(),
                                          wanted.attributes.size(), &object);
    if (rv != CKR_OK) return rv;
    CK_MECHANISM mechanism{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
    rv = session.module()->C_WrapKey(session.handle(), &mechanism, under, object, Bytes(out.bytes), &size);
    session.module()->C_DestroyObject(session.handle(), object);
  }
  if (rv == CKR_OK) out.bytes.resize(size);
  return rv;
}

CK_RV UnwrapGcm(Session& session, CK_OBJECT_HANDLE under, std::string_view aad, const WrappedKey& wrapped,
                crypto::Secret& out) {
  std::string iv = wrapped.iv;
  CK_GCM_PARAMS gcm = GcmParameters(iv, aad);
  CK_MECHANISM mechanism{CKM_AES_GCM, &gcm, sizeof(gcm)};
  const CK_RV rv = session.module()->C_DecryptInit(session.handle(), &mechanism, under);
  if (rv != CKR_OK) return rv;
  crypto::Secret plain(kWrappedBytesMax);
  CK_ULONG size = plain.size();
  const CK_RV done = session.module()->C_Decrypt(session.handle(), Bytes(wrapped.bytes), wrapped.bytes.size(),
                                                 Bytes(plain.view()), &size);
  if (done == CKR_OK) out = crypto::Secret(plain.view().substr(0, size));
  return done;
}

CK_RV UnwrapPad(Session& session, CK_OBJECT_HANDLE under, const WrappedKey& wrapped, crypto::Secret& out) {
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
  WorkingKeyTemplate wanted;
  CK_OBJECT_HANDLE object = 0;
  CK_RV rv = session.module()->C_UnwrapKey(session.handle(), &mechanism, under, Bytes(wrapped.bytes),
                                           wrapped.bytes.size(), wanted.attributes.data(),
                                           wanted.attributes.size(), &object);
  if (rv != CKR_OK) return rv;
  crypto::Secret plain(kWrappedBytesMax);
  CK_ATTRIBUTE value = Attribute(CKA_VALUE, plain.data(), plain.size());
  rv = session.module()->C_GetAttributeValue(session.handle(), object, &value, 1);
  session.module()->C_DestroyObject(session.handle(), object);
  if (rv == CKR_OK) out = crypto::Secret(plain.view().substr(0, value.ulValueLen));
  return rv;
}

}  // namespace

Pkcs11Token::Pkcs11Token(std::string module, std::string label)
    : module_(std::move(module)), label_(std::move(label)) {}

StatusOr<std::string> Pkcs11Token::Identity() const {
  CLOISTER_ASSIGN_OR_RETURN(const auto module, Module::Load(module_));
  CK_TOKEN_INFO info{};
  CLOISTER_RETURN_IF_ERROR(module->FindToken(label_, info).status());
  return Trimmed(info.manufacturerID, sizeof(info.manufacturerID)) + " " +
         Trimmed(info.model, sizeof(info.model));
}

StatusOr<WrappedKey> Pkcs11Token::GenerateAndWrap(const crypto::Secret& pin, std::string_view id,
                                                  std::string_view aad, const crypto::Secret& key) const {
  CLOISTER_ASSIGN_OR_RETURN(const auto session, Session::Open(module_, label_, pin));
  CLOISTER_ASSIGN_OR_RETURN(const auto present, session->Find(id));
  if (!present.empty()) return AlreadyExists("the token has a key under this name already");
  WrappedKey out;
  CLOISTER_ASSIGN_OR_RETURN(out.method, session->BestMethod());
  CLOISTER_ASSIGN_OR_RETURN(const CK_OBJECT_HANDLE under, Generate(*session, id, out.method));
  if (const CK_RV rv = Wrap(*session, under, aad, key, out); rv != CKR_OK) {
    session->module()->C_DestroyObject(session->handle(), under);
    return ToStatus(rv);
  }
  return out;
}

StatusOr<crypto::Secret> Pkcs11Token::Unwrap(const crypto::Secret& pin, std::string_view id,
                                             std::string_view aad, const WrappedKey& wrapped) const {
  CLOISTER_ASSIGN_OR_RETURN(const auto session, Session::Open(module_, label_, pin));
  CLOISTER_ASSIGN_OR_RETURN(const CK_OBJECT_HANDLE under, session->FindOne(id));
  crypto::Secret out;
  const CK_RV rv = wrapped.method == WrapMethod::kAesGcm ? UnwrapGcm(*session, under, aad, wrapped, out)
                                                         : UnwrapPad(*session, under, wrapped, out);
  if (rv == CKR_OK) return out;
  // A token that still finds the key, in a session of its own, is well: what it was given is at fault.
  if (MayMeanAltered(rv) && session->Reopen().ok() && session->FindOne(id).ok()) {
    return DataLoss("the keyring's PKCS#11 part was altered or belongs to another keyring or epoch");
  }
  return ToStatus(rv);
}

Status Pkcs11Token::Destroy(const crypto::Secret& pin, std::string_view id) const {
  CLOISTER_ASSIGN_OR_RETURN(const auto session, Session::Open(module_, label_, pin));
  CLOISTER_ASSIGN_OR_RETURN(const auto present, session->Find(id));
  for (const CK_OBJECT_HANDLE key : present) {
    CLOISTER_P11_RETURN_IF_ERROR(session->module()->C_DestroyObject(session->handle(), key));
  }
  CLOISTER_RETURN_IF_ERROR(session->Reopen());
  CLOISTER_ASSIGN_OR_RETURN(const auto left, session->Find(id));
  if (!left.empty()) return Unavailable("the token still holds a key that it was told to destroy: try again");
  return {};
}

}  // namespace cloister::keyring
