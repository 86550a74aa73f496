// SPDX-License-Identifier: Apache-2.0
// How many word pieces an embedder of the BERT family makes of a text, without its vocabulary. Does not tokenise. Pure
// and thread-safe.
//
// A run of letters counts 1 up to 7 letters and 1 more for each 4 further ones; a run of digits 1 for each 3; each
// other visible ASCII character 1; each character of an unspaced script 1. On regulations and quarterly reports the
// sum is within a few per cent of what bge-small's tokenizer makes; single words are off by more.
#pragma once

#include <cstdint>
#include <string_view>

namespace cloister::ingest {

uint32_t EstimateTokens(std::string_view text);

}  // namespace cloister::ingest
