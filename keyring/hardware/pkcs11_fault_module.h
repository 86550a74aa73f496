// SPDX-License-Identifier: Apache-2.0
// What the PKCS#11 module of the tests does otherwise than SoftHSM, which it stands in front of. For tests
// only.
#pragma once

namespace cloister::keyring {

// Return values of PKCS#11 to answer with; 0 asks SoftHSM.
struct Pkcs11Faults {
  bool no_gcm = false;
  bool no_key_wrap = false;
  bool keeps_what_it_destroys = false;
  bool gives_out_keys = false;
  unsigned long login = 0;
  unsigned long generate = 0;
  unsigned long decrypt = 0;
  unsigned long destroy = 0;
};

// What the module exports under this name, for who loads it by dlopen.
using Pkcs11FaultsFunction = Pkcs11Faults* (*)();
inline constexpr const char* kPkcs11FaultsSymbol = "CloisterPkcs11Faults";

}  // namespace cloister::keyring
