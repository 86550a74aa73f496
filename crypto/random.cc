// SPDX-License-Identifier: Apache-2.0
#include "crypto/random.h"

#include <openssl/rand.h>

#include "common/status.h"
#include "crypto/openssl.h"

namespace cloister::crypto {

std::string RandomBytes(size_t count) {
  std::string out(count, '\0');
  CLOISTER_CHECK(RAND_bytes(Unsigned(out.data()), static_cast<int>(count)) == 1);
  return out;
}

Secret RandomSecret(size_t count) {
  Secret out(count);
  // The private generator has its own state: public nonces never show where it is.
  CLOISTER_CHECK(RAND_priv_bytes(Unsigned(out.data()), static_cast<int>(count)) == 1);
  return out;
}

}  // namespace cloister::crypto
