// SPDX-License-Identifier: Apache-2.0
// Merkle tree hashing and the checking of inclusion and consistency proofs, for whole trees and for subtrees.
// Does not store a tree or make proofs; see audit/tiles.h. Pure and thread-safe. SPEC: RFC 6962 section 2.1;
// subtrees as draft-ietf-plants-merkle-tree-certs defines them.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace cloister::audit {

constexpr size_t kHashBytes = 32;

// A SHA-256 value. Plain and copyable.
class Hash {
 public:
  Hash() = default;
  // Errors: kInvalidArgument (not 32 bytes).
  static StatusOr<Hash> FromBytes(std::string_view bytes);
  std::string_view bytes() const { return {bytes_.data(), kHashBytes}; }
  auto operator<=>(const Hash&) const = default;

 private:
  std::array<char, kHashBytes> bytes_{};
};

Hash EmptyRoot();                                    // SHA256("")
Hash LeafHash(std::string_view entry);               // SHA256(00 || entry)
Hash NodeHash(const Hash& left, const Hash& right);  // SHA256(01 || left || right)

// The greatest power of two below `n`; `n` is at least 2 (CHECKed).
uint64_t SplitPoint(uint64_t n);

// Every check returns kInvalidArgument when the question makes no sense (index or sizes out of order, or a
// proof of the wrong length) and kDataLoss when the proof does not lead to the root.
Status VerifyInclusion(uint64_t index, uint64_t size, const Hash& leaf, const std::vector<Hash>& proof,
                       const Hash& root);

// That the tree of size1 with root1 is a prefix of the tree of size2 with root2. A first size of 0 is
// refused: it would prove nothing.
Status VerifyConsistency(uint64_t size1, uint64_t size2, const std::vector<Hash>& proof, const Hash& root1,
                         const Hash& root2);

// As above for the leaves [start, end), where `start` is a multiple of the least power of two >= end - start.
Status VerifySubtreeInclusion(uint64_t index, uint64_t start, uint64_t end, const Hash& leaf,
                              const std::vector<Hash>& proof, const Hash& root);
// That the subtree [start, end) with root1 lies in the tree of `size` with root2. An empty one lies in every
// tree: then only root1 and the absence of a proof are checked.
Status VerifySubtreeConsistency(uint64_t start, uint64_t end, uint64_t size, const std::vector<Hash>& proof,
                                const Hash& root1, const Hash& root2);

}  // namespace cloister::audit
