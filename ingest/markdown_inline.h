// SPDX-License-Identifier: Apache-2.0
// Markdown inside a paragraph to plain text: emphasis, links, images, code spans, entities, escapes and inline tags are
// replaced by what a reader sees. Does not know blocks. Pure and thread-safe; linear in the length of the text.
// SPEC: spec.commonmark.org/0.30 section 6, without nested emphasis of unequal runs.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace cloister::ingest {

// `link_labels`: labels of link definitions in lower case, for [text][label] and [label].
std::string MarkdownInlineText(std::string_view text, const std::set<std::string, std::less<>>& link_labels);

// Appends the character reference at the start of `text` ("&amp;", "&#40;", "&#x28;") and returns its length in
// bytes, or returns 0 and appends nothing.
size_t AppendEntity(std::string_view text, std::string& out);

}  // namespace cloister::ingest
