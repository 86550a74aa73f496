// SPDX-License-Identifier: Apache-2.0
// Errors on their way to an HTTP client: which status a code becomes, and the two JSON shapes (OpenAI's for /v1, our
// own for everything else). Pure and thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"
#include "services/http/http_message.h"

namespace cloister::services {

// What a Status cannot say: a stable reason in upper case, the request field at fault, a limit that was exceeded
// and how long to wait. Carried as payloads.
struct ErrorFacts {
  std::string reason;  // "QUESTION_TOO_LONG"; empty: the name of the code.
  std::string field;   // "messages"; empty: none.
  uint64_t limit = 0;
  uint32_t retry_after_seconds = 0;
};
Status WithFacts(Status status, const ErrorFacts& facts);
ErrorFacts FactsOf(const Status& status);

int HttpStatusOf(const Status& status);

// {"error":{"message","type","param","code"}}. SPEC: the OpenAI API's error object.
HttpResponse OpenAiError(const Status& status);
// {"error":{"code","message","field"?,"limit"?}}
HttpResponse AdminError(const Status& status);

}  // namespace cloister::services
