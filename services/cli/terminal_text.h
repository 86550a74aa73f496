// SPDX-License-Identifier: Apache-2.0
// Text for people at a terminal: made harmless, wrapped, in columns. Pure, except TerminalWidth.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace cloister::services {

constexpr size_t kTextWidthMax = 100;  // Longer lines are hard to read, however wide the terminal is.

// Columns of the terminal, or 80; at most kTextWidthMax.
size_t TerminalWidth();

// Without control characters (C0, DEL, C1), which a document could use to repaint the terminal, and without marks that
// turn the direction of text. Newlines and tabs become spaces. Bytes that are not UTF-8 become '?'.
std::string Printable(std::string_view text);

// Breaks at spaces into lines of at most `width` characters, each after `indent`. Ends with a newline.
std::string Wrap(std::string_view text, size_t width, std::string_view indent);

// A point of a list: "  - " before the first line, and as many spaces before the others. Ends with a newline.
std::string Bullet(std::string_view text, size_t width);

// Rows in columns as wide as their widest cell, two spaces apart; the first row is the heading.
void PrintTable(std::ostream& out, const std::vector<std::vector<std::string>>& rows);

// "1.5 MB". "1 min 5 s".
std::string HumanBytes(double bytes);
std::string HumanSeconds(double seconds);

}  // namespace cloister::services
