// SPDX-License-Identifier: Apache-2.0
#include "ingest/manifest.h"

#include <algorithm>

#include "common/bytes.h"
#include "ingest/metadata_codec.h"

namespace cloister::ingest {
namespace {

constexpr std::string_view kMagic = "CLPM";
constexpr uint8_t kFormat = 1;
constexpr size_t kEntryBytesMin = 9 * 4;  // Lengths of the source and seven values, count of subjects.

Status Malformed() { return DataLoss("the parse process answered with malformed bytes"); }

// It is shown to a person, so it may not hold what moves a terminal's cursor.
bool IsShowable(std::string_view text) {
  return IsUtf8(text) && std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

}  // namespace

const Metadata* Manifest::Find(std::string_view source) const {
  const auto entry = entries_.find(source);
  return entry == entries_.end() ? nullptr : &entry->second;
}

void Manifest::Apply(std::string_view source, Metadata& metadata) const {
  const Metadata* entry = Find(source);
  if (entry == nullptr) return;
  const auto set = [](const std::string& from, std::string& to) {
    if (!from.empty()) to = from;
  };
  set(entry->title, metadata.title);
  set(entry->owner, metadata.owner);
  set(entry->language, metadata.language);
  set(entry->effective_from, metadata.effective_from);
  set(entry->effective_to, metadata.effective_to);
  set(entry->superseded_by, metadata.superseded_by);
  set(entry->classification, metadata.classification);
  if (!entry->subjects.empty()) metadata.subjects = entry->subjects;
}

std::string EncodeManifestResult(const ManifestResult& result) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.String(result.problem);
  out.U32(static_cast<uint32_t>(result.manifest.entries().size()));
  for (const auto& [source, metadata] : result.manifest.entries()) {
    out.String(source);
    WriteMetadata(metadata, out);
  }
  return out.Take();
}

StatusOr<ManifestResult> DecodeManifestResult(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.Raw(kMagic.size()) != kMagic) return Malformed();
  if (const uint8_t format = in.U8(); !in.failed() && format != kFormat) {
    return FailedPrecondition("the parse process speaks manifest format " + std::to_string(format) +
                              ", this one format 1; install both from one build");
  }
  ManifestResult result;
  result.problem = in.String();
  if (in.failed() || result.problem.size() > kManifestProblemBytesMax || !IsShowable(result.problem)) return Malformed();
  const uint32_t count = in.Count(kEntryBytesMin);
  if (count > kManifestEntriesMax || (count > 0 && !result.problem.empty())) return Malformed();
  Manifest::Entries entries;
  for (uint32_t i = 0; i < count; ++i) {
    std::string source(in.String());
    if (in.failed() || source.size() > kManifestSourceBytesMax || !IsUtf8(source)) return Malformed();
    Metadata metadata;
    if (!ReadMetadata(in, metadata) || !entries.emplace(std::move(source), std::move(metadata)).second) return Malformed();
  }
  if (!in.Finish("manifest").ok()) return Malformed();
  result.manifest = Manifest(std::move(entries));
  return result;
}

}  // namespace cloister::ingest
