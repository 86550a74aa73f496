// SPDX-License-Identifier: Apache-2.0
#include "ingest/markdown_inline.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "ingest/text_normaliser.h"

namespace cloister::ingest {
namespace {

constexpr size_t kLinkTargetBytesMax = 2048;
constexpr size_t kTagBytesMax = 2048;
constexpr int kNestedLinksMax = 8;

bool IsPunctuation(char c) { return std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~").find(c) != std::string_view::npos; }
bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsAlnum(char c) { return IsAlpha(c) || (c >= '0' && c <= '9') || (c & 0x80) != 0; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n'; }

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

class InlineReader {
 public:
  InlineReader(std::string_view text, const std::set<std::string, std::less<>>& labels, int depth)
      : text_(text), labels_(labels), depth_(depth), closing_(text.size(), 0) {
    std::vector<size_t> open;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == '[') {
        open.push_back(i);
      } else if (text[i] == ']' && !open.empty()) {
        closing_[open.back()] = i;
        open.pop_back();
      }
    }
  }

  std::string Run() {
    while (at_ < text_.size()) Step();
    return WithoutDelimiters();
  }

 private:
  struct Delimiter {
    size_t position;  // In out_.
    size_t length;
    char character;
    bool can_open, can_close;
    bool matched = false;
  };

  void Step() {
    const char c = text_[at_];
    if (c == '\\' && at_ + 1 < text_.size() && IsPunctuation(text_[at_ + 1])) {
      out_ += text_[at_ + 1];
      at_ += 2;
    } else if (c == '`') {
      CodeSpan();
    } else if (const size_t entity = c == '&' ? AppendEntity(text_.substr(at_), out_) : 0; entity > 0) {
      at_ += entity;
    } else if (c == '<' && Tag()) {
    } else if (c == '!' && at_ + 1 < text_.size() && text_[at_ + 1] == '[' && Link(at_ + 1)) {
    } else if (c == '[' && Link(at_)) {
    } else if (c == '*' || c == '_' || c == '~') {
      DelimiterRun();
    } else {
      out_ += c;
      ++at_;
    }
  }

  void CodeSpan() {
    size_t end = at_;
    while (end < text_.size() && text_[end] == '`') ++end;
    const std::string fence(text_.substr(at_, end - at_));
    const size_t close = fence.size() <= 8 ? FindRun(end, fence.size()) : std::string_view::npos;
    if (close == std::string_view::npos) {
      out_ += fence;
      at_ = end;
      return;
    }
    out_ += text_.substr(end, close - end);
    at_ = close + fence.size();
  }

  // The next run of exactly `length` back quotes at or after `from`. Remembers a length that is not to be found, so
  // that many unmatched runs cost no more than one search each length.
  size_t FindRun(size_t from, size_t length) {
    if (absent_[length]) return std::string_view::npos;
    for (size_t i = text_.find('`', from); i != std::string_view::npos; i = text_.find('`', i)) {
      size_t end = i;
      while (end < text_.size() && text_[end] == '`') ++end;
      if (end - i == length) return i;
      i = end;
    }
    absent_[length] = true;
    return std::string_view::npos;
  }

  bool Tag() {
    const size_t close = text_.substr(at_, kTagBytesMax).find('>');
    if (close == std::string_view::npos || close < 2) return false;
    const std::string_view inside = text_.substr(at_ + 1, close - 1);
    if (!IsAlpha(inside[0]) && inside[0] != '/' && inside[0] != '!' && inside[0] != '?') return false;
    const bool has_space = std::any_of(inside.begin(), inside.end(), IsSpace);
    const bool autolink = !has_space && (inside.find("://") != std::string_view::npos ||
                                         inside.find('@') != std::string_view::npos ||
                                         inside.substr(0, 7) == "mailto:");
    if (autolink) {
      out_ += inside;
    } else {
      const std::string name = Lower(inside.substr(0, inside.find_first_of(" />\t\n", 1)));
      if (name == "br" || name == "td" || name == "th" || name == "p" || name == "li") out_ += ' ';
    }
    at_ += close + 1;
    return true;
  }

  // A link or image whose '[' is at `open`.
  bool Link(size_t open) {
    const size_t close = closing_[open];
    if (close == 0 || depth_ >= kNestedLinksMax) return false;
    const std::string_view inside = text_.substr(open + 1, close - open - 1);
    size_t end = 0;
    if (close + 1 < text_.size() && text_[close + 1] == '(') {
      end = TargetEnd(close + 1);
    } else if (close + 1 < text_.size() && text_[close + 1] == '[' && closing_[close + 1] > 0) {
      const size_t label_end = closing_[close + 1];
      const std::string_view label = text_.substr(close + 2, label_end - close - 2);
      if (labels_.count(Lower(label.empty() ? inside : label)) > 0) end = label_end + 1;
    } else if (!labels_.empty() && labels_.count(Lower(inside)) > 0) {
      end = close + 1;
    }
    if (end == 0) return false;
    out_ += InlineReader(inside, labels_, depth_ + 1).Run();
    at_ = end;
    return true;
  }

  // The offset after the ')' that closes the '(' at `open`; 0 when there is none near.
  size_t TargetEnd(size_t open) const {
    int depth = 0;
    const size_t limit = std::min(text_.size(), open + kLinkTargetBytesMax);
    for (size_t i = open; i < limit; ++i) {
      if (text_[i] == '\\') {
        ++i;
      } else if (text_[i] == '(') {
        ++depth;
      } else if (text_[i] == ')' && --depth == 0) {
        return i + 1;
      }
    }
    return 0;
  }

  void DelimiterRun() {
    const char c = text_[at_];
    size_t end = at_;
    while (end < text_.size() && text_[end] == c) ++end;
    const char before = at_ > 0 ? text_[at_ - 1] : ' ';
    const char after = end < text_.size() ? text_[end] : ' ';
    Delimiter run{out_.size(), end - at_, c, !IsSpace(after), !IsSpace(before)};
    if (c == '_') {
      run.can_open = run.can_open && !IsAlnum(before);
      run.can_close = run.can_close && !IsAlnum(after);
    }
    if (c == '~' && run.length != 2) run.can_open = run.can_close = false;
    out_.append(run.length, c);
    delimiters_.push_back(run);
    at_ = end;
  }

  std::string WithoutDelimiters() {
    // Openers waiting for a closer, by character and length; longer runs are prose.
    std::array<std::vector<size_t>, 9> waiting;
    const auto slot = [](const Delimiter& d) {
      const size_t kind = d.character == '*' ? 0 : d.character == '_' ? 1 : 2;
      return d.length <= 3 ? kind * 3 + d.length - 1 : size_t{9};
    };
    for (size_t i = 0; i < delimiters_.size(); ++i) {
      Delimiter& run = delimiters_[i];
      const size_t s = slot(run);
      if (s == 9) continue;
      if (run.can_close && !waiting[s].empty()) {
        run.matched = delimiters_[waiting[s].back()].matched = true;
        waiting[s].pop_back();
      } else if (run.can_open) {
        waiting[s].push_back(i);
      }
    }
    std::string result;
    size_t from = 0;
    for (const Delimiter& run : delimiters_) {
      if (!run.matched) continue;
      result.append(out_, from, run.position - from);
      from = run.position + run.length;
    }
    result.append(out_, from, std::string::npos);
    return result;
  }

  std::string_view text_;
  const std::set<std::string, std::less<>>& labels_;
  int depth_;
  std::vector<size_t> closing_;  // For a '[', the offset of its ']'; 0: none.
  std::vector<Delimiter> delimiters_;
  std::array<bool, 9> absent_{};
  size_t at_ = 0;
  std::string out_;
};

struct NamedEntity {
  std::string_view name;
  uint32_t code_point;
};
constexpr NamedEntity kEntities[] = {
    {"amp", '&'},      {"lt", '<'},       {"gt", '>'},       {"quot", '"'},     {"apos", '\''},   {"nbsp", 0xA0},
    {"sect", 0xA7},    {"copy", 0xA9},    {"reg", 0xAE},     {"deg", 0xB0},     {"plusmn", 0xB1}, {"para", 0xB6},
    {"middot", 0xB7},  {"frac12", 0xBD},  {"times", 0xD7},   {"ndash", 0x2013}, {"mdash", 0x2014},
    {"lsquo", 0x2018}, {"rsquo", 0x2019}, {"ldquo", 0x201C}, {"rdquo", 0x201D}, {"bull", 0x2022}, {"hellip", 0x2026},
    {"euro", 0x20AC},  {"pound", 0xA3},   {"trade", 0x2122}, {"le", 0x2264},    {"ge", 0x2265},   {"shy", 0xAD},
    {"micro", 0xB5},   {"auml", 0xE4},    {"ouml", 0xF6},    {"uuml", 0xFC},    {"szlig", 0xDF},  {"eacute", 0xE9}};

}  // namespace

size_t AppendEntity(std::string_view text, std::string& out) {
  constexpr size_t kEntityBytesMax = 12;
  const size_t end = text.substr(0, kEntityBytesMax).find(';');
  if (text.empty() || text[0] != '&' || end == std::string_view::npos || end < 2) return 0;
  std::string_view name = text.substr(1, end - 1);
  if (name[0] == '#') {
    const bool hexadecimal = name.size() > 1 && (name[1] == 'x' || name[1] == 'X');
    name.remove_prefix(hexadecimal ? 2 : 1);
    if (name.empty() || name.size() > 7) return 0;
    uint32_t value = 0;
    for (const char c : name) {
      const int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
      if (digit >= (hexadecimal ? 16 : 10)) return 0;
      value = value * (hexadecimal ? 16 : 10) + static_cast<uint32_t>(digit);
    }
    AppendUtf8(value, out);
    return end + 1;
  }
  for (const NamedEntity& entity : kEntities) {
    if (entity.name == name) {
      AppendUtf8(entity.code_point, out);
      return end + 1;
    }
  }
  return 0;
}

std::string MarkdownInlineText(std::string_view text, const std::set<std::string, std::less<>>& link_labels) {
  return InlineReader(text, link_labels, 0).Run();
}

}  // namespace cloister::ingest
