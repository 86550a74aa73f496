// SPDX-License-Identifier: Apache-2.0
// One file's bytes to a document, in this process. Only for the sandboxed parse process and tests: everything else
// goes through sandboxed_parser.h. Thread-safe.
#pragma once

#include <string_view>

#include "ingest/document_builder.h"
#include "ingest/media_type.h"

namespace cloister::ingest {

// Refuses kUnsupported with kUnsupported. May throw std::bad_alloc, and may crash on bytes made to crash the PDF
// library.
ParseResult ParseBytes(MediaType type, std::string_view bytes, const ParseLimits& limits);

// Loads what the parsers would load from files at first use. Call before files are out of reach.
void WarmUpParsers();

}  // namespace cloister::ingest
