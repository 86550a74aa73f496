// SPDX-License-Identifier: Apache-2.0
// The witnesses that a log asks, as its configuration names them: "VERIFIER-KEY URL" each. Pure.
#pragma once

#include <string>
#include <vector>

#include "audit/cosignature.h"
#include "common/status.h"

namespace cloister::witness {

constexpr size_t kWitnessesMax = 16;
constexpr size_t kUrlBytesMax = 1024;

struct WitnessPeer {
  audit::CosignatureVerifier verifier;  // verifier.name() names the witness.
  std::string url;                      // Without a slash at its end; "/add-checkpoint" follows it.
};

// Errors: kInvalidArgument, and the message says which line and what is wrong with it: not two words, no verifier key of a
// witness, two of one name, more than kWitnessesMax; a URL that is not https://HOST[:PORT][/PREFIX] (http:// is taken for
// 127.0.0.1, [::1] and localhost alone), or one with a name, password, query or fragment.
StatusOr<std::vector<WitnessPeer>> ParseWitnesses(const std::vector<std::string>& lines);

}  // namespace cloister::witness
