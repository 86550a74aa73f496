// SPDX-License-Identifier: Apache-2.0
// Reads the JSON body of a request field by field, with errors that name the field. Not thread-safe.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "services/http/http_message.h"

namespace cloister::services {

class JsonBody {
 public:
  // Errors: kInvalidArgument (not an object, a member twice, reason UNSUPPORTED_MEDIA_TYPE unless the content type
  // is application/json: a browser cannot send that across origins without asking first).
  static StatusOr<JsonBody> Parse(const HttpRequest& request);
  // An inner object of a body, for the same checks.
  static JsonBody Inner(nlohmann::json object) { return JsonBody(std::move(object)); }

  // The member, or nothing when it is absent or null. Errors: kInvalidArgument (another type; the field is named).
  StatusOr<std::optional<std::string>> OptionalString(std::string_view name) const;
  StatusOr<std::string> RequiredString(std::string_view name) const;  // Not empty.
  StatusOr<std::optional<std::vector<std::string>>> OptionalStrings(std::string_view name) const;
  StatusOr<bool> Bool(std::string_view name, bool otherwise) const;
  StatusOr<uint64_t> Uint(std::string_view name, uint64_t otherwise, uint64_t minimum, uint64_t maximum) const;
  // kInvalidArgument for a member that is not in `known`, naming the nearest.
  Status OnlyKnown(const std::vector<std::string>& known) const;
  const nlohmann::json& object() const { return object_; }

 private:
  explicit JsonBody(nlohmann::json object) : object_(std::move(object)) {}
  const nlohmann::json* Find(std::string_view name) const;
  nlohmann::json object_;
};

// kInvalidArgument about one field.
Status FieldError(std::string_view field, std::string_view message);
// One line of JSON; bytes that are not UTF-8 become U+FFFD.
std::string DumpJson(const nlohmann::json& value);
HttpResponse JsonResponse(const nlohmann::json& value, int status = 200);

}  // namespace cloister::services
