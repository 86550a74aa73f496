// SPDX-License-Identifier: Apache-2.0
// Random bytes from the operating system's generator through OpenSSL. Thread-safe. Ends the process when the
// generator fails: nothing may go on with predictable keys.
#pragma once

#include <string>

#include "common/id.h"
#include "crypto/secret.h"

namespace cloister::crypto {

std::string RandomBytes(size_t count);
Secret RandomSecret(size_t count);

// RandomId<DocumentId>().
template <class IdType>
IdType RandomId() {
  return *IdType::FromBytes(RandomBytes(kIdBytes));
}

}  // namespace cloister::crypto
