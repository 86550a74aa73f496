// SPDX-License-Identifier: Apache-2.0
// Exact inner-product search over chunk vectors, inside a permitted set. Vectors live in a FAISS flat index;
// the filter works inside the search, never on its result. Holds no ids but ordinals. The only file with
// vector_index.cc that knows FAISS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <vector>

#include "common/status.h"

namespace cloister::retrieval {

using ChunkSet = ::Roaring;  // Ordinals of chunks.

struct Scored {
  uint32_t chunk = 0;  // Ordinal.
  float score = 0;
  bool operator==(const Scored&) const = default;
};

// Below this share of permitted chunks only they are visited, one by one; above it all memory is streamed.
constexpr double kScanListShare = 0.10;

// Not thread-safe to append to; safe to search from many threads.
class FaissIndex {
 public:
  FaissIndex();
  FaissIndex(FaissIndex&&) noexcept;
  FaissIndex& operator=(FaissIndex&&) noexcept;
  ~FaissIndex();

  // Adds `count` vectors of `dimension` floats, or `count` zero vectors when `dimension` is 0 (they score 0).
  // Errors: kFailedPrecondition (another dimension than before), kResourceExhausted (memory).
  Status Append(uint32_t count, uint32_t dimension, const float* vectors);

  // Overwrites the vectors of these chunks with zeros.
  void Wipe(const ChunkSet& chunks);

  // The best `k` among `permitted`, best first, ties by ordinal. `question` has dimension() floats.
  // Errors: kInvalidArgument (another size), kInternal (FAISS).
  StatusOr<std::vector<Scored>> Search(const std::vector<float>& question, const ChunkSet& permitted,
                                       size_t k) const;
  // 0 without vectors. `chunk` < size(); `question` has dimension() floats.
  float Score(const float* question, uint32_t chunk) const;
  const float* Vector(uint32_t chunk) const;  // dimension() floats; null without vectors.
  uint32_t dimension() const;
  uint32_t size() const { return size_; }

 private:
  struct Flat;
  std::unique_ptr<Flat> flat_;  // Null until the first vectors.
  uint32_t size_ = 0;
};

}  // namespace cloister::retrieval
