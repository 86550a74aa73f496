// SPDX-License-Identifier: Apache-2.0
#include "audit/canonical_json.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace cloister::audit {
namespace {

// Collects canonical text bottom-up: an open array or object holds the finished text of its members.
class Canonicaliser final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Canonicaliser(int depth_max) : depth_max_(depth_max) {}
  bool null() override { return Fail("null is not allowed; leave the key out"); }
  bool boolean(bool) override { return Fail("a boolean is not allowed; write 0 or 1"); }
  bool number_float(double, const std::string&) override {
    return Fail("a number that is not an integer is not allowed; write it as a string");
  }
  bool number_integer(int64_t value) override {
    if (value < -kJsonIntegerMax) return Fail("an integer is below -(2^53 - 1); write it as a string");
    return Value(std::to_string(value));
  }
  bool number_unsigned(uint64_t value) override {
    if (value > static_cast<uint64_t>(kJsonIntegerMax)) {
      return Fail("an integer is above 2^53 - 1; write it as a string");
    }
    return Value(std::to_string(value));
  }
  bool string(std::string& value) override {
    std::string out;
    AppendJsonString(value, out);
    return Value(std::move(out));
  }
  bool binary(nlohmann::json::binary_t&) override { return Fail("binary is not JSON"); }
  bool start_object(size_t) override { return Open(true); }
  bool start_array(size_t) override { return Open(false); }
  bool key(std::string& key) override {
    if (key.empty() || key.size() > kJsonKeyBytesMax) return Fail("a key must have 1 to 128 bytes");
    for (unsigned char c : key) {
      if (c < 0x20 || c > 0x7e) return Fail("a key must be printable ASCII");
    }
    Level& level = stack_.back();
    level.key = key;
    if (level.members.count(key) != 0) return Fail("the key is there twice");
    return true;
  }
  bool end_object() override {
    Level level = Close();
    std::string out = "{";
    for (const auto& [key, text] : level.members) {
      if (out.size() > 1) out.push_back(',');
      AppendJsonString(key, out);
      out.push_back(':');
      out += text;
    }
    out.push_back('}');
    return Value(std::move(out));
  }
  bool end_array() override {
    Level level = Close();
    std::string out = "[";
    for (const std::string& text : level.elements) {
      if (out.size() > 1) out.push_back(',');
      out += text;
    }
    out.push_back(']');
    return Value(std::move(out));
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    // The library's own message quotes the input, which may be personal.
    if (error_.empty()) error_ = "not valid JSON in UTF-8 near byte " + std::to_string(position);
    return false;
  }

  const std::string& error() const { return error_; }
  std::string Take() { return std::move(result_); }

 private:
  struct Level {
    bool is_object;
    std::string key;
    std::map<std::string, std::string> members;  // ASCII keys: byte order is UTF-16 order.
    std::vector<std::string> elements;
  };

  bool Fail(std::string_view what) {
    if (!error_.empty()) return false;
    std::string path;
    for (const Level& level : stack_) {
      if (level.is_object && !level.key.empty()) path += (path.empty() ? "" : ".") + level.key;
    }
    error_ = path.empty() ? std::string(what)
                          : "at \"" + path.substr(0, kJsonKeyBytesMax) + "\": " + std::string(what);
    return false;
  }
  bool Open(bool is_object) {
    if (static_cast<int>(stack_.size()) >= depth_max_) {
      return Fail("nested deeper than " + std::to_string(depth_max_) + " levels");
    }
    stack_.push_back(Level{is_object, {}, {}, {}});
    return true;
  }
  Level Close() {
    Level level = std::move(stack_.back());
    stack_.pop_back();
    return level;
  }
  bool Value(std::string text) {
    if (stack_.empty()) {
      result_ = std::move(text);
    } else if (stack_.back().is_object) {
      stack_.back().members[stack_.back().key] = std::move(text);
    } else {
      stack_.back().elements.push_back(std::move(text));
    }
    return true;
  }

  const int depth_max_;
  std::vector<Level> stack_;
  std::string result_;
  std::string error_;
};

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out.push_back(kHex[static_cast<unsigned char>(c) >> 4]);
          out.push_back(kHex[c & 15]);
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

StatusOr<std::string> CanonicalJson(std::string_view json, int depth_max) {
  if (json.size() > kJsonBytesMax) {
    return InvalidArgument("JSON is longer than " + std::to_string(kJsonBytesMax) + " bytes");
  }
  Canonicaliser sax(depth_max);
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &sax)) {
    return InvalidArgument(sax.error().empty() ? std::string("not valid JSON") : sax.error());
  }
  return sax.Take();
}

StatusOr<std::string> CanonicalJsonObject(std::string_view json, int depth_max) {
  auto text = CanonicalJson(json, depth_max);
  if (text.ok() && text->compare(0, 1, "{") != 0) return InvalidArgument("a JSON object is expected");
  return text;
}

}  // namespace cloister::audit
