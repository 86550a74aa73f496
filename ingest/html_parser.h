// SPDX-License-Identifier: Apache-2.0
// HTML pages: headings, paragraphs, nested lists, tables and preformatted text as a reader sees them. Scripts, styles,
// form controls and what is hidden from readers is left out, so that text nobody saw cannot be quoted. Loads nothing.
// Pure and thread-safe. SPEC: html.spec.whatwg.org (parsing by gumbo)
//
// Metadata: <title>, the lang attribute of <html>, and <meta name="owner" content="..."> for the other keys; several
// subjects are separated by commas.
#pragma once

#include <string_view>

#include "ingest/document_builder.h"

namespace cloister::ingest {

constexpr size_t kHtmlDepthMax = 1000;

// Refuses with kTooDeep above kHtmlDepthMax nested elements.
ParseResult ParseHtml(std::string_view bytes, const ParseLimits& limits);

}  // namespace cloister::ingest
