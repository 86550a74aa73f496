// SPDX-License-Identifier: Apache-2.0
// /v1: chat completions and models as OpenAI clients expect them, and our own ask and search.
#include <nlohmann/json.hpp>

#include "services/gateway/ask_json.h"
#include "services/gateway/gateway.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"
#include "services/gateway/openai_request.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr int64_t kNanosPerSecond = 1'000'000'000;

StatusOr<std::string> PurposeOf(const HttpRequest& request) {
  CLOISTER_ASSIGN_OR_RETURN(const auto header, request.Header("x-cloister-purpose"));
  if (!header.has_value()) return std::string(kDefaultPurpose);
  if (Status known = CheckPurpose(*header); !known.ok()) {
    return WithFacts(known, {"UNKNOWN_PURPOSE", "X-Cloister-Purpose", 0, 0});
  }
  return std::string(*header);
}

void Count(Metrics& metrics, const StatusOr<AskResult>& result) {
  if (!result.ok()) {
    ++metrics.asks_failed;
    return;
  }
  metrics.ask_microseconds += static_cast<uint64_t>(result->timing.total);
  if (result->band == AnswerBand::kAnswer) ++metrics.asks_answer;
  if (result->band == AnswerBand::kMayHelp) ++metrics.asks_may_help;
  if (result->band == AnswerBand::kRefusal) ++metrics.asks_refusal;
}

StatusOr<AskResult> RunAsk(const RouteCall& call, const AskRequest& request) {
  StatusOr<AskResult> result = call.parts.asks.Ask(call.caller, request);
  Count(call.parts.metrics, result);
  return result;
}

// Quotes are copied, not generated, so completion tokens are 0; what the models read is counted as the prompt.
json UsageJson(const AskResult& result) {
  const uint64_t tokens = result.tokens_question + result.tokens_evaluated;
  return {{"prompt_tokens", tokens}, {"completion_tokens", 0}, {"total_tokens", tokens}};
}

json ChunkJson(const AskResult& result, const std::string& model, json delta, json finish_reason) {
  return {{"id", "chatcmpl-" + result.ask_id},
          {"object", "chat.completion.chunk"},
          {"created", result.time_ns / kNanosPerSecond},
          {"model", model},
          {"choices", json::array({{{"index", 0},
                                    {"delta", std::move(delta)},
                                    {"logprobs", nullptr},
                                    {"finish_reason", std::move(finish_reason)}}})}};
}

bool WriteEvent(HttpWriter& writer, const json& event) { return writer.Write("data: " + DumpJson(event) + "\n\n"); }

// Everything is decided and recorded before the first byte, so an error still has its HTTP status.
void StreamCompletion(HttpWriter& writer, const ChatRequest& request, const AskResult& result) {
  HttpResponse head;
  head.content_type = "text/event-stream";
  if (!writer.StartStream(head)) return;
  bool alive = WriteEvent(writer, ChunkJson(result, request.model, {{"role", "assistant"}, {"content", ""}}, nullptr));
  for (const TextPiece& piece : AnswerPieces(result)) {
    alive = alive && WriteEvent(writer, ChunkJson(result, request.model, {{"content", piece.text}}, nullptr));
  }
  json last = ChunkJson(result, request.model, {{"annotations", Annotations(result)}}, "stop");
  last["cloister"] = AnswerJson(result);
  alive = alive && WriteEvent(writer, last);
  if (request.include_usage) {
    json usage = ChunkJson(result, request.model, json::object(), nullptr);
    usage["choices"] = json::array();
    usage["usage"] = UsageJson(result);
    alive = alive && WriteEvent(writer, usage);
  }
  if (alive) writer.Write("data: [DONE]\n\n");
}

HttpResponse WholeCompletion(const ChatRequest& request, const AskResult& result) {
  std::string content;
  for (const TextPiece& piece : AnswerPieces(result)) content += piece.text;
  return JsonResponse({{"id", "chatcmpl-" + result.ask_id},
                       {"object", "chat.completion"},
                       {"created", result.time_ns / kNanosPerSecond},
                       {"model", request.model},
                       {"choices", json::array({{{"index", 0},
                                                 {"message",
                                                  {{"role", "assistant"},
                                                   {"content", std::move(content)},
                                                   {"refusal", nullptr},
                                                   {"annotations", Annotations(result)}}},
                                                 {"logprobs", nullptr},
                                                 {"finish_reason", "stop"}}})},
                       {"usage", UsageJson(result)},
                       {"cloister", AnswerJson(result)}});
}

Status CheckModel(const std::string& model) {
  if (model == kModelName) return absl::OkStatus();
  return WithFacts(NotFound("the model does not exist; this appliance has '" + std::string(kModelName) + "'"),
                   {"MODEL_NOT_FOUND", "model", 0, 0});
}

Status ChatCompletions(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_ASSIGN_OR_RETURN(ChatRequest request, ParseChatRequest(body, call.parts.options.question_bytes_max));
  CLOISTER_RETURN_IF_ERROR(CheckModel(request.model));
  CLOISTER_ASSIGN_OR_RETURN(request.ask.purpose, PurposeOf(call.request));
  CLOISTER_ASSIGN_OR_RETURN(const AskResult result, RunAsk(call, request.ask));
  if (request.stream) {
    StreamCompletion(call.writer, request, result);
  } else {
    call.writer.Send(WholeCompletion(request, result));
  }
  return absl::OkStatus();
}

json ModelJson() { return {{"id", kModelName}, {"object", "model"}, {"created", 0}, {"owned_by", "cloister"}}; }

Status Ask(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"question", "collection", "include_not_in_force"}));
  AskRequest request;
  CLOISTER_ASSIGN_OR_RETURN(request.question, body.RequiredString("question"));
  CLOISTER_RETURN_IF_ERROR(CheckQuestion("question", request.question, call.parts.options.question_bytes_max));
  CLOISTER_ASSIGN_OR_RETURN(const auto collection, body.OptionalString("collection"));
  request.collection = collection.value_or("");
  CLOISTER_ASSIGN_OR_RETURN(request.include_not_in_force, body.Bool("include_not_in_force", false));
  CLOISTER_ASSIGN_OR_RETURN(request.purpose, PurposeOf(call.request));
  CLOISTER_ASSIGN_OR_RETURN(const AskResult result, RunAsk(call, request));
  call.writer.Send(JsonResponse(AnswerJson(result)));
  return absl::OkStatus();
}

StatusOr<v1::SearchMode> ModeOf(const std::string& name) {
  if (name == "hybrid") return v1::SEARCH_MODE_HYBRID;
  if (name == "lexical") return v1::SEARCH_MODE_LEXICAL;
  if (name == "dense") return v1::SEARCH_MODE_DENSE;
  return FieldError("mode", "must be hybrid, lexical or dense");
}

Status Search(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(
      body.OnlyKnown({"query", "mode", "limit", "collection", "include_not_in_force", "release"}));
  SearchQuery query;
  CLOISTER_ASSIGN_OR_RETURN(query.text, body.RequiredString("query"));
  CLOISTER_RETURN_IF_ERROR(CheckQuestion("query", query.text, call.parts.options.question_bytes_max));
  CLOISTER_ASSIGN_OR_RETURN(const auto mode, body.OptionalString("mode"));
  CLOISTER_ASSIGN_OR_RETURN(query.mode, ModeOf(mode.value_or("hybrid")));
  CLOISTER_ASSIGN_OR_RETURN(query.release, body.Bool("release", false));
  const uint64_t limit_max = query.release ? kReleaseHandlesMax : kSearchHitsMax;
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t limit, body.Uint("limit", query.limit, 1, limit_max));
  query.limit = static_cast<uint32_t>(limit);
  CLOISTER_ASSIGN_OR_RETURN(const auto collection, body.OptionalString("collection"));
  query.collection = collection.value_or("");
  CLOISTER_ASSIGN_OR_RETURN(query.include_not_in_force, body.Bool("include_not_in_force", false));
  CLOISTER_ASSIGN_OR_RETURN(query.purpose, PurposeOf(call.request));
  CLOISTER_ASSIGN_OR_RETURN(const SearchResult result, call.parts.asks.Search(call.caller, query));
  ++call.parts.metrics.searches;
  call.writer.Send(JsonResponse(SearchJson(result)));
  return absl::OkStatus();
}

}  // namespace

Status HandleV1(const RouteCall& call) {
  if (call.Is("POST", "/v1/chat/completions")) return ChatCompletions(call);
  if (call.Is("POST", "/v1/ask")) return Ask(call);
  if (call.Is("POST", "/v1/search")) return Search(call);
  if (call.Is("GET", "/v1/models")) {
    call.writer.Send(JsonResponse({{"object", "list"}, {"data", json::array({ModelJson()})}}));
    return absl::OkStatus();
  }
  if (call.Is("GET", "/v1/models/*")) {
    CLOISTER_RETURN_IF_ERROR(CheckModel(call.segments[2]));
    call.writer.Send(JsonResponse(ModelJson()));
    return absl::OkStatus();
  }
  return NoRoute();
}

}  // namespace cloister::services
