// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/http_error.h"

#include <nlohmann/json.hpp>

#include "absl/strings/cord.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr char kReason[] = "cloister/reason";
constexpr char kField[] = "cloister/field";
constexpr char kLimit[] = "cloister/limit";
constexpr char kRetryAfter[] = "cloister/retry-after";

void SetText(Status& status, const char* name, const std::string& value) {
  if (!value.empty()) status.SetPayload(name, absl::Cord(value));
}

std::string GetText(const Status& status, const char* name) {
  const auto payload = status.GetPayload(name);
  return payload.has_value() ? std::string(*payload) : std::string();
}

uint64_t GetNumber(const Status& status, const char* name) {
  const std::string text = GetText(status, name);
  return text.empty() ? 0 : std::stoull(text);
}

std::string_view OpenAiType(int http_status) {
  switch (http_status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 429: return "rate_limit_error";
    default: return http_status >= 500 ? "server_error" : "invalid_request_error";
  }
}

std::string OpenAiCode(const Status& status, const ErrorFacts& facts) {
  std::string code = facts.reason.empty() ? std::string(CodeName(status.code())) : facts.reason;
  for (char& c : code) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return code;
}

HttpResponse Respond(const Status& status, const ErrorFacts& facts, json error) {
  HttpResponse response;
  response.status = HttpStatusOf(status);
  response.body = json{{"error", std::move(error)}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"cloister\"");
  if (facts.retry_after_seconds > 0) {
    response.headers.emplace_back("Retry-After", std::to_string(facts.retry_after_seconds));
  }
  return response;
}

}  // namespace

Status WithFacts(Status status, const ErrorFacts& facts) {
  SetText(status, kReason, facts.reason);
  SetText(status, kField, facts.field);
  if (facts.limit > 0) SetText(status, kLimit, std::to_string(facts.limit));
  if (facts.retry_after_seconds > 0) SetText(status, kRetryAfter, std::to_string(facts.retry_after_seconds));
  return status;
}

ErrorFacts FactsOf(const Status& status) {
  ErrorFacts facts;
  facts.reason = GetText(status, kReason);
  facts.field = GetText(status, kField);
  facts.limit = GetNumber(status, kLimit);
  facts.retry_after_seconds = static_cast<uint32_t>(GetNumber(status, kRetryAfter));
  return facts;
}

int HttpStatusOf(const Status& status) {
  const std::string reason = GetText(status, kReason);
  if (reason == "METHOD_NOT_ALLOWED") return 405;
  if (reason == "UNSUPPORTED_MEDIA_TYPE") return 415;
  switch (status.code()) {
    case StatusCode::kOk: return 200;
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange: return 400;
    case StatusCode::kUnauthenticated: return 401;
    case StatusCode::kPermissionDenied: return 403;
    case StatusCode::kNotFound: return 404;
    case StatusCode::kAlreadyExists:
    case StatusCode::kFailedPrecondition: return 409;
    case StatusCode::kResourceExhausted: return 429;
    case StatusCode::kUnavailable:
    case StatusCode::kCancelled: return 503;
    case StatusCode::kDeadlineExceeded: return 504;
    default: return 500;
  }
}

HttpResponse OpenAiError(const Status& status) {
  const ErrorFacts facts = FactsOf(status);
  json error{{"message", MessageOf(status)},
             {"type", OpenAiType(HttpStatusOf(status))},
             {"param", facts.field.empty() ? json(nullptr) : json(facts.field)},
             {"code", OpenAiCode(status, facts)}};
  return Respond(status, facts, std::move(error));
}

HttpResponse AdminError(const Status& status) {
  const ErrorFacts facts = FactsOf(status);
  json error{{"code", facts.reason.empty() ? std::string(CodeName(status.code())) : facts.reason},
             {"message", MessageOf(status)}};
  if (!facts.field.empty()) error["field"] = facts.field;
  if (facts.limit > 0) error["limit"] = facts.limit;
  return Respond(status, facts, std::move(error));
}

}  // namespace cloister::services
