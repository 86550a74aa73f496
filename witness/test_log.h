// SPDX-License-Identifier: Apache-2.0
// For tests: a small log and the requests that it makes of a witness.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/merkle.h"
#include "audit/note.h"
#include "audit/tiles.h"
#include "witness/add_checkpoint.h"

namespace cloister::witness {

// A log in memory, of which every earlier size can still be proven.
class SmallLog {
 public:
  explicit SmallLog(std::string_view origin = "test/main/1") : signer_(*audit::NoteSigner::New(origin, std::string(32, '\x07'))) {}
  void Grow(size_t to, const std::string& salt = "") {
    while (leaves_.size() < to) leaves_.push_back(audit::LeafHash(salt + std::to_string(leaves_.size())));
  }
  audit::Hash Root(size_t size) const { return Range(0, size); }
  std::string Checkpoint(size_t size) const {
    return signer_.Sign(audit::CheckpointText({signer_.name(), size, Root(size)}));
  }
  std::string Request(size_t old_size, size_t size) const {
    return Serialise({old_size, old_size == 0 ? std::vector<audit::Hash>() : Proof(old_size, size), Checkpoint(size)});
  }
  std::vector<audit::Hash> Proof(size_t first, size_t size) const {
    audit::ProofBuilder builder(size, [&](const audit::TileId& tile) -> StatusOr<std::string> {
      std::string out;
      for (size_t i = 0; i < tile.width; ++i) out += leaves_.at(tile.index * audit::kTileWidth + i).bytes();
      return out;
    });
    return *builder.Consistency(first);
  }
  audit::NoteVerifier verifier() const { return *audit::NoteVerifier::Parse(signer_.verifier_key()); }

 private:
  audit::Hash Range(size_t begin, size_t end) const {
    if (begin == end) return audit::EmptyRoot();
    if (end - begin == 1) return leaves_[begin];
    const size_t split = begin + audit::SplitPoint(end - begin);
    return audit::NodeHash(Range(begin, split), Range(split, end));
  }
  audit::NoteSigner signer_;
  std::vector<audit::Hash> leaves_;
};

}  // namespace cloister::witness
