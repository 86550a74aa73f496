// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/openai_request.h"

#include <algorithm>

#include "services/gateway/http_error.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr uint64_t kTokensMax = 1'000'000;
// A token of English is about three quarters of a word; fewer words than this cut whole answers away.
constexpr uint64_t kWordsMin = 20;
constexpr uint64_t kWordsMax = 80;

bool IsAbsent(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null();
}

Status Unsupported(std::string_view field, std::string_view message) {
  ErrorFacts facts;
  facts.reason = "UNSUPPORTED_PARAMETER";
  facts.field = std::string(field);
  return WithFacts(InvalidArgument("'" + std::string(field) + "' " + std::string(message)), facts);
}

// What a client may not ask of an appliance that quotes. Sampling parameters are let through: they change nothing,
// because nothing is sampled.
Status RefuseUnsupported(const json& body) {
  for (const char* name : {"tools", "functions", "logit_bias"}) {
    if (!IsAbsent(body, name) && !body[name].empty()) return Unsupported(name, "is not supported");
  }
  for (const char* name : {"audio", "web_search_options", "prediction"}) {
    if (!IsAbsent(body, name)) return Unsupported(name, "is not supported");
  }
  if (!IsAbsent(body, "tool_choice") && body["tool_choice"] != "none" && body["tool_choice"] != "auto") {
    return Unsupported("tool_choice", "must be 'none' or 'auto': there are no tools");
  }
  if (!IsAbsent(body, "logprobs") && body["logprobs"] != false) return Unsupported("logprobs", "is not supported");
  if (!IsAbsent(body, "stop") && !body["stop"].empty()) return Unsupported("stop", "is not supported: quotes are whole");
  if (!IsAbsent(body, "modalities") && body["modalities"] != json::array({"text"})) {
    return Unsupported("modalities", "must be [\"text\"]");
  }
  if (!IsAbsent(body, "response_format")) {
    const json& format = body["response_format"];
    if (!format.is_object() || format.value("type", json()) != "text") {
      return Unsupported("response_format", "must be of type 'text': answers are quotes");
    }
  }
  if (!IsAbsent(body, "n") && body["n"] != 1) return Unsupported("n", "must be 1: there is one answer");
  return absl::OkStatus();
}

StatusOr<std::string> TextOf(const json& message, const std::string& field) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) return std::string();
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return FieldError(field + ".content", "must be a string or a list of parts");
  std::string text;
  for (const json& part : *content) {
    if (!part.is_object() || part.value("type", json()) != "text") {
      return Unsupported(field + ".content", "may hold text only; images, audio and files are not supported");
    }
    const auto found = part.find("text");
    if (found == part.end() || !found->is_string()) return FieldError(field + ".content", "has a part without text");
    if (!text.empty()) text += "\n";
    text += found->get<std::string>();
  }
  return text;
}

size_t CountWords(std::string_view text) {
  size_t words = 0;
  bool inside = false;
  for (unsigned char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    words += !space && !inside;
    inside = !space;
  }
  return words;
}

// Fills in question and search text from the messages.
Status ReadMessages(const json& body, size_t question_bytes_max, AskRequest& ask) {
  const auto messages = body.find("messages");
  if (messages == body.end() || !messages->is_array() || messages->empty()) {
    return FieldError("messages", "must be a list with at least one message");
  }
  if (messages->size() > kMessagesMax) {
    ErrorFacts facts{"TOO_MANY_MESSAGES", "messages", kMessagesMax, 0};
    return WithFacts(InvalidArgument("'messages' may hold at most " + std::to_string(kMessagesMax)), facts);
  }
  std::string previous;
  for (size_t i = 0; i < messages->size(); ++i) {
    const json& message = (*messages)[i];
    const std::string field = "messages[" + std::to_string(i) + "]";
    if (!message.is_object()) return FieldError(field, "must be an object");
    const json role = message.value("role", json());
    if (role == "tool" || role == "function") return Unsupported(field + ".role", "must not be a tool's");
    if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
      return FieldError(field + ".role", "must be user, assistant, system or developer");
    }
    CLOISTER_ASSIGN_OR_RETURN(std::string text, TextOf(message, field));
    const bool last = i + 1 == messages->size();
    if (last && role != "user") return FieldError(field + ".role", "must be user: the last message is the question");
    if (last) {
      CLOISTER_RETURN_IF_ERROR(CheckQuestion(field + ".content", text, question_bytes_max));
      ask.question = std::move(text);
    } else if (role == "user" && !text.empty()) {
      previous = std::move(text);
    }
  }
  const bool follow_up = !previous.empty() && CountWords(ask.question) <= kFollowUpWordsMax &&
                         previous.size() + 1 + ask.question.size() <= question_bytes_max &&
                         CheckQuestion("messages", previous, question_bytes_max).ok();
  if (follow_up) ask.search_text = previous + " " + ask.question;
  return absl::OkStatus();
}

}  // namespace

Status CheckQuestion(std::string_view field, std::string_view question, size_t question_bytes_max) {
  if (question.size() > question_bytes_max) {
    ErrorFacts facts{"QUESTION_TOO_LONG", std::string(field), question_bytes_max, 0};
    return WithFacts(InvalidArgument("a question may have at most " + std::to_string(question_bytes_max) +
                                     " bytes; this one has " + std::to_string(question.size())),
                     facts);
  }
  if (question.find_first_not_of(" \t\r\n") == std::string_view::npos) return FieldError(field, "holds no question");
  for (unsigned char c : question) {
    if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f) {
      return FieldError(field, "has a control character");
    }
  }
  return absl::OkStatus();
}

StatusOr<ChatRequest> ParseChatRequest(const JsonBody& body, size_t question_bytes_max) {
  ChatRequest request;
  CLOISTER_ASSIGN_OR_RETURN(request.model, body.RequiredString("model"));
  CLOISTER_RETURN_IF_ERROR(RefuseUnsupported(body.object()));
  CLOISTER_ASSIGN_OR_RETURN(request.stream, body.Bool("stream", false));
  if (!IsAbsent(body.object(), "stream_options")) {
    if (!body.object()["stream_options"].is_object()) return FieldError("stream_options", "must be an object");
    CLOISTER_ASSIGN_OR_RETURN(request.include_usage,
                              JsonBody::Inner(body.object()["stream_options"]).Bool("include_usage", false));
  }
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t tokens, body.Uint(name, kTokensMax, 1, kTokensMax));
    const uint64_t words = std::max(kWordsMin, tokens * 3 / 4);
    if (words < kWordsMax) request.ask.words_max = static_cast<uint32_t>(words);
  }
  if (!IsAbsent(body.object(), "cloister")) {
    if (!body.object()["cloister"].is_object()) return FieldError("cloister", "must be an object");
    const JsonBody own = JsonBody::Inner(body.object()["cloister"]);
    CLOISTER_RETURN_IF_ERROR(own.OnlyKnown({"collection", "include_not_in_force"}));
    CLOISTER_ASSIGN_OR_RETURN(const auto collection, own.OptionalString("collection"));
    request.ask.collection = collection.value_or("");
    CLOISTER_ASSIGN_OR_RETURN(request.ask.include_not_in_force, own.Bool("include_not_in_force", false));
  }
  CLOISTER_RETURN_IF_ERROR(ReadMessages(body.object(), question_bytes_max, request.ask));
  return request;
}

}  // namespace cloister::services
