// SPDX-License-Identifier: Apache-2.0
#include "ingest/parse.h"

#include "ingest/html_parser.h"
#include "ingest/markdown_parser.h"
#include "ingest/pdf_parser.h"
#include "ingest/text_normaliser.h"
#include "ingest/text_parser.h"

namespace cloister::ingest {

ParseResult ParseBytes(MediaType type, std::string_view bytes, const ParseLimits& limits) {
  if (bytes.empty()) return Refuse(Refusal::kEmpty);
  switch (type) {
    case MediaType::kText: return ParseText(bytes, limits);
    case MediaType::kMarkdown: return ParseMarkdown(bytes, limits);
    case MediaType::kHtml: return ParseHtml(bytes, limits);
    case MediaType::kPdf: return ParsePdf(bytes, limits);
    case MediaType::kUnsupported: break;
  }
  return Refuse(Refusal::kUnsupported);
}

void WarmUpParsers() {
  NormaliseText("warm\xC2\xA0up e\xCC\x81", Whitespace::kCollapse);
  DecodeText("caf\xE9");
  WarmUpPdf();
}

}  // namespace cloister::ingest
