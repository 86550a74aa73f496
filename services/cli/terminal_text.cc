// SPDX-License-Identifier: Apache-2.0
#include "services/cli/terminal_text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "common/bytes.h"

namespace cloister::services {
namespace {

size_t CharacterBytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xF0) return 4;
  return lead >= 0xE0 ? 3 : 2;
}

uint32_t Decode(std::string_view character) {
  if (character.size() == 1) return static_cast<unsigned char>(character[0]);
  uint32_t code = static_cast<unsigned char>(character[0]) & (0x7Fu >> character.size());
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3Fu);
  return code;
}

bool IsHarmful(uint32_t code) {
  const bool control = code < 0x20 || (code >= 0x7F && code <= 0x9F);
  const bool direction = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) ||
                         code == 0x200E || code == 0x200F || code == 0x061C;
  return control || direction;
}

size_t Characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

size_t TerminalWidth() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return std::min<size_t>(size.ws_col, kTextWidthMax);
}

std::string Printable(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t size = CharacterBytes(static_cast<unsigned char>(text[at]));
    const std::string_view character = text.substr(at, size);
    if (!IsUtf8(character)) {
      out.push_back('?');
      ++at;
      continue;
    }
    const uint32_t code = Decode(character);
    if (code == '\n' || code == '\t' || code == '\r') {
      out.push_back(' ');
    } else if (!IsHarmful(code)) {
      out.append(character);
    }
    at += size;
  }
  return out;
}

std::string Wrap(std::string_view text, size_t width, std::string_view indent) {
  std::string out;
  std::string line;
  const size_t room = width > indent.size() + 10 ? width - indent.size() : 10;
  while (!text.empty()) {
    const size_t start = text.find_first_not_of(' ');
    if (start == std::string_view::npos) break;
    text.remove_prefix(start);
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    if (!line.empty() && Characters(line) + 1 + Characters(word) > room) {
      out.append(indent).append(line).append("\n");
      line.clear();
    }
    if (!line.empty()) line.push_back(' ');
    line.append(word);
  }
  return out.append(indent).append(line).append("\n");
}

std::string Bullet(std::string_view text, size_t width) {
  constexpr std::string_view kMark = "  - ";
  return std::string(kMark) + Wrap(text, width, std::string(kMark.size(), ' ')).substr(kMark.size());
}

void PrintTable(std::ostream& out, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Characters(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - Characters(row[i]) + 2, ' ');
    }
    out << line << "\n";
  }
}

std::string HumanBytes(double bytes) {
  const char* unit = "B";
  for (const char* larger : {"kB", "MB", "GB", "TB"}) {
    if (bytes < 1000) break;
    bytes /= 1000;
    unit = larger;
  }
  char text[32];
  std::snprintf(text, sizeof text, *unit == 'B' ? "%.0f %s" : "%.1f %s", bytes, unit);
  return text;
}

std::string HumanSeconds(double seconds) {
  char text[32];
  if (seconds < 60) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else {
    std::snprintf(text, sizeof text, "%.0f min %.0f s", std::floor(seconds / 60), std::fmod(seconds, 60));
  }
  return text;
}

}  // namespace cloister::services
