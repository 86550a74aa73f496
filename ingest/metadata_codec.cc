// SPDX-License-Identifier: Apache-2.0
#include "ingest/metadata_codec.h"

#include "ingest/metadata.h"

namespace cloister::ingest {
namespace {

bool ReadValue(ByteReader& in, std::string& value) {
  value = in.String();
  return !in.failed() && value.size() <= kMetadataBytesMax && IsUtf8(value);
}

}  // namespace

void WriteMetadata(const Metadata& m, ByteWriter& out) {
  for (const std::string* value : {&m.title, &m.owner, &m.language, &m.effective_from, &m.effective_to,
                                   &m.superseded_by, &m.classification}) {
    out.String(*value);
  }
  out.U32(static_cast<uint32_t>(m.subjects.size()));
  for (const std::string& subject : m.subjects) out.String(subject);
}

bool ReadMetadata(ByteReader& in, Metadata& m) {
  for (std::string* value : {&m.title, &m.owner, &m.language, &m.effective_from, &m.effective_to,
                             &m.superseded_by, &m.classification}) {
    if (!ReadValue(in, *value)) return false;
  }
  const uint32_t count = in.Count(4);
  if (count > kSubjectsMax) return false;
  m.subjects.resize(count);
  for (std::string& subject : m.subjects) {
    if (!ReadValue(in, subject)) return false;
  }
  return IsIsoDateOrEmpty(m.effective_from) && IsIsoDateOrEmpty(m.effective_to);
}

}  // namespace cloister::ingest
