// SPDX-License-Identifier: Apache-2.0
// An ask's result as JSON and as text. Pure. SPEC: docs/api.md
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/gateway/ask.h"

namespace cloister::services {

// The answer object: the body of /v1/ask and the field `cloister` of /v1/chat/completions.
nlohmann::json AnswerJson(const AskResult& result);
nlohmann::json SearchJson(const SearchResult& result);

// One piece of the text that stands for an answer, and where a quote stands in the whole, in Unicode characters.
struct TextPiece {
  std::string text;
  const AnswerQuote* quote = nullptr;  // Into the result; null for words of our own.
};
// Concatenated they are the message's content.
std::vector<TextPiece> AnswerPieces(const AskResult& result);
// SPEC: the OpenAI API's url_citation annotations; indices count Unicode code points of the content.
nlohmann::json Annotations(const AskResult& result);

}  // namespace cloister::services
