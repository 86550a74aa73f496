// SPDX-License-Identifier: Apache-2.0
// Markdown with front matter: headings, paragraphs, nested lists and block quotes, tables, code. Renders what a reader
// sees; block quotes used as indentation (legal texts) count as nesting. Raw HTML is reduced to its text. Pure and
// thread-safe. SPEC: spec.commonmark.org/0.30 with tables of GitHub Flavored Markdown; link titles, footnotes and
// HTML blocks only as far as text needs them.
#pragma once

#include <string_view>

#include "ingest/document_builder.h"

namespace cloister::ingest {

ParseResult ParseMarkdown(std::string_view bytes, const ParseLimits& limits);

}  // namespace cloister::ingest
