// SPDX-License-Identifier: Apache-2.0
// Which parser a file needs, by its content and, where content cannot tell, by its name. Does not open files. Pure.
#pragma once

#include <string_view>

namespace cloister::ingest {

enum class MediaType { kUnsupported, kText, kMarkdown, kHtml, kPdf };

// "text/markdown" and so on; "application/octet-stream" for kUnsupported.
std::string_view MediaTypeName(MediaType type);
// kUnsupported for any other name.
MediaType MediaTypeFromName(std::string_view name);

// `name` is a file name or path. Content wins: a PDF named .txt is a PDF, a ZIP named .txt is unsupported.
MediaType DetectMediaType(std::string_view name, std::string_view bytes);

// Whether any content under this name could be supported; lets a scan pass over the rest without reading it.
bool MayBeSupported(std::string_view name);

}  // namespace cloister::ingest
