// SPDX-License-Identifier: Apache-2.0
// PDF: words with places from poppler, put into reading order, lines and paragraphs by pdf_layout.h. Opens no file and
// runs no script. Only the parse process links this (poppler is GPL: a separate program). Not thread-safe.
#pragma once

#include <string_view>

#include "ingest/document_builder.h"

namespace cloister::ingest {

// Refuses with kEncrypted (a password is needed), kDamaged, kTooManyPages, kNoText (only images), kTextTooLong.
ParseResult ParsePdf(std::string_view bytes, const ParseLimits& limits);

// poppler calls iconv, which loads its tables from files, at the first word; without files, words come back empty and
// no error says so.
void WarmUpPdf();

}  // namespace cloister::ingest
