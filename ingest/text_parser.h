// SPDX-License-Identifier: Apache-2.0
// Plain text: paragraphs between blank lines, list items, tab-separated rows, underlined headings. Pure and
// thread-safe.
#pragma once

#include <string_view>

#include "ingest/document_builder.h"

namespace cloister::ingest {

ParseResult ParseText(std::string_view bytes, const ParseLimits& limits);

}  // namespace cloister::ingest
