// SPDX-License-Identifier: Apache-2.0
// The bytes of tlog-witness's one call, for both of its sides. Checks form alone: neither signatures nor proofs. Pure.
// SPEC: c2sp.org/tlog-witness v1.0.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "audit/merkle.h"
#include "audit/note.h"
#include "common/status.h"

namespace cloister::witness {

inline constexpr std::string_view kAddCheckpointPath = "/add-checkpoint";
// Of the answer.
constexpr int kStatusCosigned = 200, kStatusMalformed = 400, kStatusNotSigned = 403, kStatusUnknownLog = 404,
              kStatusOtherSize = 409, kStatusNotProven = 422, kStatusNotKept = 503;
inline constexpr std::string_view kSizeContentType = "text/x.tlog.size";  // With kStatusOtherSize.
constexpr size_t kProofHashesMax = 63;
constexpr size_t kAddCheckpointBytesMax = 8 * 1024 + audit::kNoteBytesMax;  // Proof lines, and a note.

struct AddCheckpoint {
  uint64_t old_size = 0;  // The size that the witness is thought to have cosigned last; 0: none.
  std::vector<audit::Hash> proof;
  std::string checkpoint;  // A signed note.
};

std::string Serialise(const AddCheckpoint& request);
// Errors: kInvalidArgument (too long, not the exact form, more than kProofHashesMax hashes).
StatusOr<AddCheckpoint> ParseAddCheckpoint(std::string_view body);
// The size that an answer with kStatusOtherSize tells. Errors: kDataLoss.
StatusOr<uint64_t> ParseSizeAnswer(std::string_view body);

}  // namespace cloister::witness
