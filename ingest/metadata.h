// SPDX-License-Identifier: Apache-2.0
// The metadata a document may declare: which keys there are, how their values are checked, and the front matter
// in which text and Markdown carry them. Does not read manifests; see manifest.h. Pure and thread-safe.
//
// Front matter is the first thing in the file: a line "---", lines "key: value" where a value may be quoted, a list
// "[a, b]" or following lines "- a", and a line "---". It looks like YAML and is deliberately no more than this.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ingest/parsed_document.h"

namespace cloister::ingest {

// "title", "owner", "language", "subjects", "effective_from", "effective_to", "superseded_by", "classification".
const std::vector<std::string>& MetadataKeys();

// "2026-11-22" with a month and a day that exist, or empty.
bool IsIsoDateOrEmpty(std::string_view date);

// Sets one key. Only "subjects" takes several values. A problem is appended to `notes` and the value left out.
void SetMetadata(std::string_view key, const std::vector<std::string>& values, uint32_t line, Metadata& metadata,
                 std::vector<Note>& notes);

// Reads front matter, if `text` starts with it, and returns the number of bytes it takes (0: none).
size_t ReadFrontMatter(std::string_view text, Metadata& metadata, std::vector<Note>& notes);

}  // namespace cloister::ingest
