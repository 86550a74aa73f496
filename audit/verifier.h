// SPDX-License-Identifier: Apache-2.0
// Offline verification of an exported log: every entry, every tile and the signature, with nothing but the
// verifier key. Does not open sections. Sees that a log was cut back or forked only by checkpoints of it that were kept
// elsewhere, and never that an event was not recorded; the caller's help text must say so. Reads only. Thread-safe. SPEC:
// c2sp.org/tlog-tiles; docs/formats/audit.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/note.h"

namespace cloister::audit {

constexpr size_t kProblemsMax = 20;  // More are counted, not listed.

struct FolderReport {
  Checkpoint checkpoint;  // Meaningful when the signature holds.
  bool signature_holds = false;
  uint64_t entries = 0;               // Read, whether right or wrong.
  uint64_t files = 0;                 // Tiles, bundles and the checkpoint.
  std::string first_time, last_time;  // Of the first and last entry, as the log claims.
  uint64_t problem_count = 0;
  std::vector<std::string> problems;  // Sentences for a person; the first kProblemsMax.
  bool verified() const { return problem_count == 0; }
};

// Checks in `folder`: the checkpoint and its signature; that each bundle and tile that a log of that size has
// is there in its exact width and that none is there besides; that entries hash to tiles, tiles to tiles and
// the right edge to the signed root; that entries are envelopes numbered without gap, of one tenant, with
// records in parts complete; and that the log begins with each of `kept`, checkpoints whose signature was checked before.
FolderReport VerifyFolder(const std::filesystem::path& folder, const NoteVerifier& verifier,
                          std::vector<Checkpoint> kept = {});

}  // namespace cloister::audit
