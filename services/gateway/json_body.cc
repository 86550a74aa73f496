// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/json_body.h"

#include <set>

#include "common/config.h"
#include "services/gateway/http_error.h"

namespace cloister::services {

using nlohmann::json;

namespace {

constexpr std::string_view kJsonType = "application/json";

bool IsJsonType(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  if (type.size() < kJsonType.size()) return false;
  for (size_t i = 0; i < kJsonType.size(); ++i) {
    const char c = type[i] >= 'A' && type[i] <= 'Z' ? static_cast<char>(type[i] + 32) : type[i];
    if (c != kJsonType[i]) return false;
  }
  return type.find_first_not_of(" \t", kJsonType.size()) == std::string_view::npos;
}

// Notices a member that stands twice in the same object: two readers could disagree about its value.
class NoDuplicates {
 public:
  bool operator()(int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open_.emplace_back();
    if (event == json::parse_event_t::object_end && !open_.empty()) open_.pop_back();
    if (event == json::parse_event_t::key && !open_.empty() &&
        !open_.back().insert(parsed.get<std::string>()).second) {
      *duplicate_ = true;
    }
    return true;
  }
  explicit NoDuplicates(bool* duplicate) : duplicate_(duplicate) {}

 private:
  bool* duplicate_;
  std::vector<std::set<std::string>> open_;
};

}  // namespace

Status FieldError(std::string_view field, std::string_view message) {
  ErrorFacts facts;
  facts.field = std::string(field);
  return WithFacts(InvalidArgument("'" + std::string(field) + "' " + std::string(message)), facts);
}

std::string DumpJson(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

HttpResponse JsonResponse(const json& value, int status) {
  HttpResponse response;
  response.status = status;
  response.body = DumpJson(value) + "\n";
  return response;
}

StatusOr<JsonBody> JsonBody::Parse(const HttpRequest& request) {
  CLOISTER_ASSIGN_OR_RETURN(const auto content_type, request.Header("content-type"));
  if (!content_type.has_value() || !IsJsonType(*content_type)) {
    ErrorFacts facts;
    facts.reason = "UNSUPPORTED_MEDIA_TYPE";
    return WithFacts(InvalidArgument("send the body as Content-Type: application/json"), facts);
  }
  bool duplicate = false;
  json parsed = json::parse(request.body, NoDuplicates(&duplicate), false);
  if (parsed.is_discarded()) return InvalidArgument("the body is not well-formed JSON in UTF-8");
  if (duplicate) return InvalidArgument("the body has an object in which a member stands twice");
  if (!parsed.is_object()) return InvalidArgument("the body must be a JSON object");
  return JsonBody(std::move(parsed));
}

const json* JsonBody::Find(std::string_view name) const {
  const auto found = object_.find(std::string(name));
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

StatusOr<std::optional<std::string>> JsonBody::OptionalString(std::string_view name) const {
  const json* value = Find(name);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return FieldError(name, "must be a string");
  return std::optional<std::string>(value->get<std::string>());
}

StatusOr<std::string> JsonBody::RequiredString(std::string_view name) const {
  CLOISTER_ASSIGN_OR_RETURN(std::optional<std::string> value, OptionalString(name));
  if (!value.has_value() || value->empty()) return FieldError(name, "is required");
  return *std::move(value);
}

StatusOr<std::optional<std::vector<std::string>>> JsonBody::OptionalStrings(std::string_view name) const {
  const json* value = Find(name);
  if (value == nullptr) return std::optional<std::vector<std::string>>();
  if (!value->is_array()) return FieldError(name, "must be a list of strings");
  std::vector<std::string> strings;
  for (const json& element : *value) {
    if (!element.is_string()) return FieldError(name, "must be a list of strings");
    strings.push_back(element.get<std::string>());
  }
  return std::optional<std::vector<std::string>>(std::move(strings));
}

StatusOr<bool> JsonBody::Bool(std::string_view name, bool otherwise) const {
  const json* value = Find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) return FieldError(name, "must be true or false");
  return value->get<bool>();
}

StatusOr<uint64_t> JsonBody::Uint(std::string_view name, uint64_t otherwise, uint64_t minimum,
                                  uint64_t maximum) const {
  const json* value = Find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_number_unsigned() || value->get<uint64_t>() < minimum || value->get<uint64_t>() > maximum) {
    return FieldError(name, "must be a whole number from " + std::to_string(minimum) + " to " +
                                std::to_string(maximum));
  }
  return value->get<uint64_t>();
}

Status JsonBody::OnlyKnown(const std::vector<std::string>& known) const {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    // The name came from the client; it is cut so that the message stays one.
    const std::string shown = name.substr(0, 64);
    return FieldError(shown, "is not known here; the nearest is '" + NearestName(shown, known) + "'");
  }
  return absl::OkStatus();
}

}  // namespace cloister::services
