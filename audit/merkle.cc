// SPDX-License-Identifier: Apache-2.0
#include "audit/merkle.h"

#include <bit>
#include <optional>
#include <utility>

#include "crypto/hash.h"

namespace cloister::audit {
namespace {

Hash MustHash(std::string_view bytes) { return *Hash::FromBytes(crypto::Sha256(bytes)); }

Status BadProof() { return DataLoss("the proof does not lead to the root"); }

// What a consistency proof computes at one level: the subtree's hash and the tree's hash.
struct Pair {
  Hash subtree, tree;
};

// Follows the definition of the proof from the outside in, so `proof` is eaten from its end. `whole` says
// that the subtree's own hash is known to the verifier and therefore not in the proof. Depth is at most 64.
std::optional<Pair> Climb(uint64_t start, uint64_t end, uint64_t size, bool whole, const Hash& root1,
                          const std::vector<Hash>& proof, size_t& left) {
  if (start == 0 && end == size) {
    if (whole) return Pair{root1, root1};
    if (left == 0) return std::nullopt;
    const Hash& hash = proof[--left];
    return Pair{hash, hash};
  }
  if (left == 0) return std::nullopt;
  const Hash sibling = proof[--left];
  const uint64_t k = SplitPoint(size);
  if (end <= k) {
    auto inner = Climb(start, end, k, whole, root1, proof, left);
    if (inner) inner->tree = NodeHash(inner->tree, sibling);
    return inner;
  }
  if (k <= start) {
    auto inner = Climb(start - k, end - k, size - k, whole, root1, proof, left);
    if (inner) inner->tree = NodeHash(sibling, inner->tree);
    return inner;
  }
  auto inner = Climb(0, end - k, size - k, false, root1, proof, left);
  if (inner) *inner = Pair{NodeHash(sibling, inner->subtree), NodeHash(sibling, inner->tree)};
  return inner;
}

Status CheckSubtree(uint64_t start, uint64_t end) {
  if (start >= end) return InvalidArgument("a subtree must not be empty");
  const uint64_t width = end - start;
  // Above 2^63 leaves the next power of two does not fit, and only 0 is a multiple of it.
  const bool aligned = width > (uint64_t{1} << 63) ? start == 0 : start % std::bit_ceil(width) == 0;
  if (!aligned) return InvalidArgument("the subtree does not start at a multiple of its width");
  return absl::OkStatus();
}

}  // namespace

StatusOr<Hash> Hash::FromBytes(std::string_view bytes) {
  if (bytes.size() != kHashBytes) return InvalidArgument("a hash has 32 bytes");
  Hash hash;
  std::memcpy(hash.bytes_.data(), bytes.data(), kHashBytes);
  return hash;
}

Hash EmptyRoot() { return MustHash(""); }

Hash LeafHash(std::string_view entry) {
  std::string input(1, '\x00');
  input += entry;
  return MustHash(input);
}

Hash NodeHash(const Hash& left, const Hash& right) {
  char input[1 + 2 * kHashBytes] = {'\x01'};
  std::memcpy(input + 1, left.bytes().data(), kHashBytes);
  std::memcpy(input + 1 + kHashBytes, right.bytes().data(), kHashBytes);
  return MustHash({input, sizeof input});
}

uint64_t SplitPoint(uint64_t n) {
  CLOISTER_CHECK(n >= 2);
  return std::bit_floor(n - 1);
}

Status VerifyInclusion(uint64_t index, uint64_t size, const Hash& leaf, const std::vector<Hash>& proof,
                       const Hash& root) {
  if (index >= size) return InvalidArgument("the index is not below the tree's size");
  // `node` and `last` are the positions of our node and of the right-most one, level by level.
  uint64_t node = index, last = size - 1;
  Hash hash = leaf;
  for (const Hash& sibling : proof) {
    if (last == 0) return InvalidArgument("the proof is longer than the path");
    if ((node & 1) != 0 || node == last) {
      hash = NodeHash(sibling, hash);
      while ((node & 1) == 0 && node != 0) node >>= 1, last >>= 1;
    } else {
      hash = NodeHash(hash, sibling);
    }
    node >>= 1, last >>= 1;
  }
  if (last != 0) return InvalidArgument("the proof is shorter than the path");
  return hash == root ? absl::OkStatus() : BadProof();
}

Status VerifyConsistency(uint64_t size1, uint64_t size2, const std::vector<Hash>& proof, const Hash& root1,
                         const Hash& root2) {
  if (size1 == 0) return InvalidArgument("consistency with an empty tree proves nothing");
  return VerifySubtreeConsistency(0, size1, size2, proof, root1, root2);
}

Status VerifySubtreeInclusion(uint64_t index, uint64_t start, uint64_t end, const Hash& leaf,
                              const std::vector<Hash>& proof, const Hash& root) {
  CLOISTER_RETURN_IF_ERROR(CheckSubtree(start, end));
  if (index < start || index >= end) return InvalidArgument("the index is outside the subtree");
  return VerifyInclusion(index - start, end - start, leaf, proof, root);
}

Status VerifySubtreeConsistency(uint64_t start, uint64_t end, uint64_t size, const std::vector<Hash>& proof,
                                const Hash& root1, const Hash& root2) {
  if (start == end && end <= size) {
    if (!proof.empty()) return InvalidArgument("the proof is longer than the path");
    return root1 == EmptyRoot() ? absl::OkStatus() : BadProof();
  }
  CLOISTER_RETURN_IF_ERROR(CheckSubtree(start, end));
  if (end > size) return InvalidArgument("the first size is above the second");
  size_t left = proof.size();
  const auto pair = Climb(start, end, size, true, root1, proof, left);
  if (!pair) return InvalidArgument("the proof is shorter than the path");
  if (left != 0) return InvalidArgument("the proof is longer than the path");
  return pair->subtree == root1 && pair->tree == root2 ? absl::OkStatus() : BadProof();
}

}  // namespace cloister::audit
