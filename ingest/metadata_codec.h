// SPDX-License-Identifier: Apache-2.0
// Metadata as bytes, for what crosses from the sandboxed parse process and for digests. Does not judge keys;
// see metadata.h. Pure and thread-safe.
#pragma once

#include "common/bytes.h"
#include "ingest/parsed_document.h"

namespace cloister::ingest {

// Seven strings, then the subjects: a 32-bit count and a string each.
void WriteMetadata(const Metadata& metadata, ByteWriter& out);
// Safe on hostile bytes: false when a value is too long, not UTF-8, not a date, or the bytes end early.
bool ReadMetadata(ByteReader& in, Metadata& metadata);

}  // namespace cloister::ingest
