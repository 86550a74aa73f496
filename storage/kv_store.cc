// SPDX-License-Identifier: Apache-2.0
#include "storage/kv_store.h"

namespace cloister::storage {

void WriteBatch::Put(std::string_view column_family, std::string_view key, std::string value) {
  bytes_ += column_family.size() + key.size() + value.size();
  operations_.push_back({std::string(column_family), std::string(key), std::move(value)});
}

void WriteBatch::Delete(std::string_view column_family, std::string_view key) {
  bytes_ += column_family.size() + key.size();
  operations_.push_back({std::string(column_family), std::string(key), std::nullopt});
}

}  // namespace cloister::storage
