// SPDX-License-Identifier: Apache-2.0
// A PKCS#11 module in front of SoftHSM that fails where a test wants it to.
#include "keyring/hardware/pkcs11_fault_module.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <cstdlib>

namespace {

cloister::keyring::Pkcs11Faults faults;
CK_FUNCTION_LIST* behind = nullptr;
CK_FUNCTION_LIST functions;

CK_RV GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO* info) {
  if ((faults.no_gcm && type == CKM_AES_GCM) || (faults.no_key_wrap && type == CKM_AES_KEY_WRAP_PAD)) {
    return CKR_MECHANISM_INVALID;
  }
  return behind->C_GetMechanismInfo(slot, type, info);
}

CK_RV Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char* pin, CK_ULONG size) {
  return faults.login != 0 ? faults.login : behind->C_Login(session, user, pin, size);
}

CK_RV GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_ATTRIBUTE* wanted, CK_ULONG count,
                  CK_OBJECT_HANDLE* key) {
  if (faults.generate != 0) return faults.generate;
  CK_BBOOL yes = CK_TRUE;
  for (CK_ULONG i = 0; faults.gives_out_keys && i < count; ++i) {
    if (wanted[i].type == CKA_EXTRACTABLE) wanted[i].pValue = &yes;
  }
  return behind->C_GenerateKey(session, mechanism, wanted, count, key);
}

CK_RV Decrypt(CK_SESSION_HANDLE session, unsigned char* in, CK_ULONG in_size, unsigned char* out,
              CK_ULONG* size) {
  return faults.decrypt != 0 ? faults.decrypt : behind->C_Decrypt(session, in, in_size, out, size);
}

CK_RV DestroyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  if (faults.destroy != 0) return faults.destroy;
  return faults.keeps_what_it_destroys ? CKR_OK : behind->C_DestroyObject(session, object);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) cloister::keyring::Pkcs11Faults* CloisterPkcs11Faults() {
  return &faults;
}

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  const char* path = std::getenv("CLOISTER_TEST_PKCS11_BEHIND");
  void* library = path == nullptr ? nullptr : ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return CKR_GENERAL_ERROR;
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  if (get == nullptr || get(&behind) != CKR_OK) return CKR_GENERAL_ERROR;
  functions = *behind;
  functions.C_GetMechanismInfo = GetMechanismInfo;
  functions.C_Login = Login;
  functions.C_GenerateKey = GenerateKey;
  functions.C_Decrypt = Decrypt;
  functions.C_DestroyObject = DestroyObject;
  *list = &functions;
  return CKR_OK;
}
