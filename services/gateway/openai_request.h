// SPDX-License-Identifier: Apache-2.0
// Reads a /v1/chat/completions request. Does not answer it. Pure. SPEC: docs/api.md, after the OpenAI API.
#pragma once

#include <string>
#include <vector>

#include "common/status.h"
#include "services/gateway/ask.h"
#include "services/gateway/json_body.h"

namespace cloister::services {

constexpr size_t kMessagesMax = 256;
constexpr const char* kModelName = "cloister";
// A last question of at most this many words is searched for together with the question before it.
constexpr size_t kFollowUpWordsMax = 6;

struct ChatRequest {
  AskRequest ask;       // `purpose` is not set here: it comes from a header.
  std::string model;
  bool stream = false;
  bool include_usage = false;
};

// Only the last message, which must be the user's, is the question. Earlier turns, whoever is said to have written
// them, are never evidence and never reach the generator.
// Errors: kInvalidArgument with the field at fault (and the limit, reason QUESTION_TOO_LONG).
StatusOr<ChatRequest> ParseChatRequest(const JsonBody& body, size_t question_bytes_max);

// A question as this service takes it. Errors: kInvalidArgument (empty, control characters, too long: reason
// QUESTION_TOO_LONG with the limit).
Status CheckQuestion(std::string_view field, std::string_view question, size_t question_bytes_max);

}  // namespace cloister::services
