// SPDX-License-Identifier: Apache-2.0
#include "ingest/pdf_parser.h"

#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-page.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "ingest/pdf_layout.h"
#include "ingest/text_normaliser.h"

namespace cloister::ingest {
namespace {

constexpr float kPointsMax = 1e6f;  // A page wider than this is nonsense.

std::string Utf8(const poppler::ustring& text) {
  const poppler::byte_array bytes = text.to_utf8();
  return NormaliseText(std::string_view(bytes.data(), bytes.size()), Whitespace::kCollapse);
}

bool IsBold(const std::string& font) {
  for (const std::string_view mark : {"Bold", "bold", "BOLD", "Black", "Heavy", "Semibold", "Demi"}) {
    if (font.find(mark) != std::string::npos) return true;
  }
  return false;
}

bool IsPlaced(const LayoutWord& w) {
  for (const float v : {w.x0, w.y0, w.x1, w.y1}) {
    if (!std::isfinite(v) || std::fabs(v) > kPointsMax) return false;
  }
  return true;
}

// poppler says quarter turns in one version's documentation and degrees in another's.
int QuarterTurns(int rotation) { return (rotation >= 90 ? rotation / 90 : rotation) & 3; }

LayoutPage ReadPage(const poppler::page& page) {
  LayoutPage result;
  const poppler::rectf rect = page.page_rect();
  result.width = static_cast<float>(rect.width());
  result.height = static_cast<float>(rect.height());
  for (const poppler::text_box& box : page.text_list(poppler::page::text_list_include_font)) {
    LayoutWord word;
    word.text = Utf8(box.text());
    if (word.text.empty()) continue;
    const poppler::rectf place = box.bbox();
    word.x0 = static_cast<float>(std::min(place.left(), place.right()));
    word.x1 = static_cast<float>(std::max(place.left(), place.right()));
    word.y0 = static_cast<float>(std::min(place.top(), place.bottom()));
    word.y1 = static_cast<float>(std::max(place.top(), place.bottom()));
    if (!IsPlaced(word)) continue;
    const double size = box.has_font_info() ? box.get_font_size() : 0;
    word.font_size = size > 0.5 && size < 1000 ? static_cast<float>(size) : std::max(word.y1 - word.y0, 1.0f);
    word.bold = box.has_font_info() && IsBold(box.get_font_name());
    word.turns = QuarterTurns(box.rotation());
    result.words.push_back(std::move(word));
  }
  return result;
}

// Titles that a program wrote and no person.
bool IsUsefulTitle(const std::string& title) {
  const auto letters = std::count_if(title.begin(), title.end(), [](unsigned char c) { return std::isalpha(c) || c >= 0x80; });
  if (letters < 4 || title.size() > kMetadataBytesMax) return false;
  for (const std::string_view junk : {"Microsoft Word", "Microsoft PowerPoint", "ntitled", ".doc", ".pdf", ".qxd", ".indd", ".ppt", ".xls", "http", "\xEF\xBF\xBD"}) {
    if (title.find(junk) != std::string::npos) return false;
  }
  return true;
}

}  // namespace

void WarmUpPdf() {
  poppler::ustring::from_latin1("x").to_utf8();
  poppler::ustring::from_utf8("\xC3\xA9").to_latin1();
  // What poppler has to say about a file may quote it.
  poppler::set_debug_error_function([](const std::string&, void*) {}, nullptr);
}

ParseResult ParsePdf(std::string_view bytes, const ParseLimits& limits) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return Refuse(Refusal::kTextTooLong);
  const std::unique_ptr<poppler::document> file(
      poppler::document::load_from_raw_data(bytes.data(), static_cast<int>(bytes.size())));
  if (file == nullptr) return Refuse(Refusal::kDamaged);
  if (file->is_locked()) return Refuse(Refusal::kEncrypted);
  const int count = file->pages();
  if (count <= 0) return Refuse(Refusal::kDamaged);
  if (static_cast<uint32_t>(count) > limits.pages_max) return Refuse(Refusal::kTooManyPages);
  std::vector<LayoutPage> pages(static_cast<size_t>(count));
  uint32_t without_text = 0;
  size_t text_bytes = 0;
  for (int i = 0; i < count; ++i) {
    const std::unique_ptr<poppler::page> page(file->create_page(i));
    if (page != nullptr) pages[static_cast<size_t>(i)] = ReadPage(*page);
    const auto& words = pages[static_cast<size_t>(i)].words;
    if (words.empty()) ++without_text;
    for (const LayoutWord& word : words) text_bytes += word.text.size() + 1;
    if (text_bytes > limits.text_bytes_max) return Refuse(Refusal::kTextTooLong);
  }
  if (without_text == static_cast<uint32_t>(count)) return Refuse(Refusal::kNoText);
  DocumentBuilder out(limits);
  if (const std::string title = Utf8(file->get_title()); IsUsefulTitle(title)) out.metadata().title = title;
  if (without_text > 0) out.notes().push_back({NoteCode::kPagesWithoutText, without_text});
  out.set_pages(static_cast<uint32_t>(count));
  LayOutPages(pages, out);
  return out.Finish();
}

}  // namespace cloister::ingest
