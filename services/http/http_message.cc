// SPDX-License-Identifier: Apache-2.0
#include "services/http/http_message.h"

#include "common/bytes.h"

namespace cloister::services {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

StatusOr<std::optional<std::string_view>> HttpRequest::Header(std::string_view lower_case_name) const {
  std::optional<std::string_view> found;
  for (const auto& [name, value] : headers) {
    if (name != lower_case_name) continue;
    if (found.has_value()) return InvalidArgument("the header " + name + " stands twice in the request");
    found = value;
  }
  return found;
}

StatusOr<std::string> PercentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_space) c = ' ';
    if (c == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return InvalidArgument("the address has a broken percent escape");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (IsControl(c)) return InvalidArgument("the address has a control character");
    out.push_back(c);
  }
  if (!IsUtf8(out)) return InvalidArgument("the address is not UTF-8");
  return out;
}

Status ParseTarget(std::string_view target, HttpRequest& request) {
  if (target.empty() || target[0] != '/') return InvalidArgument("the request's target must start with a slash");
  const size_t mark = target.find('?');
  CLOISTER_ASSIGN_OR_RETURN(request.path, PercentDecode(target.substr(0, mark), false));
  std::string_view rest = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    CLOISTER_ASSIGN_OR_RETURN(std::string name, PercentDecode(pair.substr(0, equals), true));
    CLOISTER_ASSIGN_OR_RETURN(
        std::string value,
        PercentDecode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true));
    if (!request.query.emplace(std::move(name), std::move(value)).second) {
      return InvalidArgument("a query parameter stands twice in the address");
    }
  }
  return absl::OkStatus();
}

}  // namespace cloister::services
