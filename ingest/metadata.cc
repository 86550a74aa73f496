// SPDX-License-Identifier: Apache-2.0
#include "ingest/metadata.h"

#include <algorithm>

#include "common/bytes.h"
#include "common/config.h"
#include "ingest/text_normaliser.h"

namespace cloister::ingest {
namespace {

constexpr uint32_t kFrontMatterLinesMax = 256;

std::string_view Trim(std::string_view s) {
  const size_t first = s.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t\r") - first + 1);
}

std::string_view Unquote(std::string_view s) {
  if (s.size() >= 2 && (s.front() == '"' || s.front() == '\'') && s.back() == s.front()) {
    return s.substr(1, s.size() - 2);
  }
  return s;
}

std::vector<std::string> SplitValues(std::string_view value) {
  std::vector<std::string> values;
  if (value.size() >= 2 && value.front() == '[' && value.back() == ']') {
    value = value.substr(1, value.size() - 2);
    while (!value.empty()) {
      const size_t comma = value.find(',');
      const std::string_view item = Unquote(Trim(value.substr(0, comma)));
      if (!item.empty()) values.emplace_back(item);
      value = comma == std::string_view::npos ? std::string_view() : value.substr(comma + 1);
    }
  } else if (const std::string_view item = Unquote(value); !item.empty()) {
    values.emplace_back(item);
  }
  return values;
}

std::string* FieldOf(std::string_view key, Metadata& m) {
  if (key == "title") return &m.title;
  if (key == "owner") return &m.owner;
  if (key == "language") return &m.language;
  if (key == "effective_from") return &m.effective_from;
  if (key == "effective_to") return &m.effective_to;
  if (key == "superseded_by") return &m.superseded_by;
  if (key == "classification") return &m.classification;
  return nullptr;
}

uint8_t KeyIndex(std::string_view key) {
  const auto& keys = MetadataKeys();
  return static_cast<uint8_t>(std::find(keys.begin(), keys.end(), key) - keys.begin());
}

void AddNote(NoteCode code, uint32_t line, std::string_view key, std::vector<Note>& notes) {
  if (notes.size() < kNotesMax) notes.push_back({code, (line << 8) | KeyIndex(key)});
}

bool NextLine(std::string_view& rest, std::string_view& line, size_t& taken) {
  if (rest.empty()) return false;
  const size_t end = rest.find('\n');
  line = rest.substr(0, end);
  const size_t used = end == std::string_view::npos ? rest.size() : end + 1;
  rest.remove_prefix(used);
  taken += used;
  return true;
}

bool IsFence(std::string_view line) { return line.size() >= 3 && line.substr(0, 3) == "---" && Trim(line) == "---"; }

}  // namespace

const std::vector<std::string>& MetadataKeys() {
  static const std::vector<std::string> keys = {"title",        "owner",         "language",     "subjects",
                                                "effective_from", "effective_to", "superseded_by", "classification"};
  return keys;
}

bool IsIsoDateOrEmpty(std::string_view date) {
  if (date.empty()) return true;
  if (date.size() != 10 || date[4] != '-' || date[7] != '-') return false;
  int digits[3] = {0, 0, 0};
  const int starts[3] = {0, 5, 8}, lengths[3] = {4, 2, 2};
  for (int part = 0; part < 3; ++part) {
    for (int i = 0; i < lengths[part]; ++i) {
      const char c = date[starts[part] + i];
      if (c < '0' || c > '9') return false;
      digits[part] = digits[part] * 10 + (c - '0');
    }
  }
  const int year = digits[0], month = digits[1], day = digits[2];
  if (month < 1 || month > 12 || day < 1) return false;
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const int days[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return day <= days[month - 1];
}

void SetMetadata(std::string_view key, const std::vector<std::string>& values, uint32_t line, Metadata& metadata,
                 std::vector<Note>& notes) {
  if (key != "subjects" && FieldOf(key, metadata) == nullptr) {
    AddNote(NoteCode::kUnknownMetadataKey, line, NearestName(key.substr(0, 64), MetadataKeys()), notes);
    return;
  }
  const bool is_name = key == "subjects" || key == "classification";
  const size_t bytes_max = is_name ? kNameBytesMax : kMetadataBytesMax;
  std::vector<std::string> clean;
  for (const std::string& value : values) {
    clean.push_back(NormaliseText(value, Whitespace::kCollapse));
    if (clean.back().empty() || clean.back().size() > bytes_max) {
      AddNote(NoteCode::kInvalidMetadataValue, line, key, notes);
      return;
    }
  }
  if (clean.empty()) return;
  if (key == "subjects") {
    if (clean.size() > kSubjectsMax) return AddNote(NoteCode::kInvalidMetadataValue, line, key, notes);
    metadata.subjects = std::move(clean);
    return;
  }
  const bool is_date = key == "effective_from" || key == "effective_to";
  if (clean.size() > 1 || (is_date && !IsIsoDateOrEmpty(clean[0]))) {
    return AddNote(NoteCode::kInvalidMetadataValue, line, key, notes);
  }
  *FieldOf(key, metadata) = clean[0];
}

size_t ReadFrontMatter(std::string_view text, Metadata& metadata, std::vector<Note>& notes) {
  std::string_view rest = text, line;
  size_t taken = 0;
  if (!NextLine(rest, line, taken) || !IsFence(line)) return 0;
  struct Entry {
    std::string_view key;
    std::vector<std::string> values;
    uint32_t line;
  };
  std::vector<Entry> entries;
  for (uint32_t number = 2; number <= kFrontMatterLinesMax && NextLine(rest, line, taken); ++number) {
    if (IsFence(line)) {
      for (const Entry& entry : entries) SetMetadata(entry.key, entry.values, entry.line, metadata, notes);
      return taken;
    }
    const std::string_view content = Trim(line);
    if (content.empty() || content.front() == '#') continue;
    if (content.size() >= 2 && content.substr(0, 2) == "- " && !entries.empty()) {
      entries.back().values.emplace_back(Unquote(Trim(content.substr(2))));
      continue;
    }
    const size_t colon = content.find(':');
    // A thematic break followed by prose is not front matter.
    if (colon == std::string_view::npos || content.substr(0, colon).find(' ') != std::string_view::npos) return 0;
    entries.push_back({content.substr(0, colon), SplitValues(Trim(content.substr(colon + 1))), number});
  }
  if (!entries.empty() && notes.size() < kNotesMax) notes.push_back({NoteCode::kMetadataNotClosed, 0});
  return 0;
}

}  // namespace cloister::ingest
