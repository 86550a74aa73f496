// SPDX-License-Identifier: Apache-2.0
#include "ingest/media_type.h"

#include <string>

namespace cloister::ingest {
namespace {

constexpr size_t kSniffBytes = 1024;

std::string Extension(std::string_view name) {
  const size_t slash = name.rfind('/');
  if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  std::string extension(name.substr(dot));
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return extension;
}

MediaType ByExtension(const std::string& extension) {
  if (extension == ".pdf") return MediaType::kPdf;
  if (extension == ".html" || extension == ".htm" || extension == ".xhtml") return MediaType::kHtml;
  if (extension == ".md" || extension == ".markdown") return MediaType::kMarkdown;
  if (extension == ".txt" || extension == ".text") return MediaType::kText;
  return MediaType::kUnsupported;
}

// Containers and images that are never text, whatever they are called.
bool IsForeign(std::string_view bytes) {
  for (const std::string_view magic :
       {std::string_view("PK\x03\x04"), std::string_view("\xD0\xCF\x11\xE0"), std::string_view("{\\rtf"),
        std::string_view("\x89PNG"), std::string_view("\xFF\xD8\xFF"), std::string_view("GIF8"),
        std::string_view("\x1F\x8B"), std::string_view("7z\xBC\xAF"), std::string_view("Rar!"),
        std::string_view("\x7F" "ELF"), std::string_view("BM\x00\x00", 4), std::string_view("II*\0", 4),
        std::string_view("MM\0*", 4)}) {
    if (bytes.substr(0, magic.size()) == magic) return true;
  }
  return false;
}

}  // namespace

std::string_view MediaTypeName(MediaType type) {
  switch (type) {
    case MediaType::kText: return "text/plain";
    case MediaType::kMarkdown: return "text/markdown";
    case MediaType::kHtml: return "text/html";
    case MediaType::kPdf: return "application/pdf";
    case MediaType::kUnsupported: break;
  }
  return "application/octet-stream";
}

MediaType MediaTypeFromName(std::string_view name) {
  for (const MediaType type : {MediaType::kText, MediaType::kMarkdown, MediaType::kHtml, MediaType::kPdf}) {
    if (MediaTypeName(type) == name) return type;
  }
  return MediaType::kUnsupported;
}

MediaType DetectMediaType(std::string_view name, std::string_view bytes) {
  const MediaType by_name = ByExtension(Extension(name));
  const std::string_view head = bytes.substr(0, kSniffBytes);
  // Readers accept a PDF header anywhere in the first kilobyte; a text that only mentions one is not a PDF.
  const bool pdf_name = by_name == MediaType::kPdf;
  if (head.substr(0, 5) == "%PDF-" || (pdf_name && head.find("%PDF-") != std::string_view::npos)) return MediaType::kPdf;
  if (IsForeign(head)) return MediaType::kUnsupported;
  return by_name;
}

bool MayBeSupported(std::string_view name) { return ByExtension(Extension(name)) != MediaType::kUnsupported; }

}  // namespace cloister::ingest
