// SPDX-License-Identifier: Apache-2.0
// Rows whose content follows from their number, so that a test knows what must be there. For tests only.
#pragma once

#include <cstdint>
#include <string>

#include "common/bytes.h"

namespace cloister::storage {

constexpr std::string_view kNumberedRows = "numbered";
constexpr uint32_t kNumberedWriters = 3;
constexpr uint64_t kReplacementsPerLife = 500;  // More than a writer replaces volume keys before it is killed.

inline std::string NumberedKey(uint32_t writer, uint64_t number) {
  ByteWriter out;
  out.U32(writer);
  out.U64(number);
  return out.Take();
}

// Up to some kilobytes.
inline std::string NumberedValue(uint32_t writer, uint64_t number) {
  const std::string unit = std::to_string(writer) + ":" + std::to_string(number) + ";";
  std::string out;
  for (uint64_t i = 0; i <= number * 7919 % 400; ++i) out += unit;
  return out;
}

}  // namespace cloister::storage
