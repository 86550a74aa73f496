// SPDX-License-Identifier: Apache-2.0
// The key source that other tests rest on keeps to the contract of the real ones.
#include "storage/memory_key_source.h"

#include "storage/key_source_contract.h"

namespace cloister::storage {
namespace {

class MemoryHarness final : public KeySourceHarness {
 public:
  explicit MemoryHarness(MemoryKeySource own) : own_(std::move(own)) {}
  KeySource& Own() override { return own_; }
  KeySource& Other() override { return other_; }

 private:
  MemoryKeySource own_;
  MemoryKeySource other_{own_, "other"};
};

INSTANTIATE_TEST_SUITE_P(Memory, KeySourceContract, testing::Values([]() -> std::unique_ptr<KeySourceHarness> {
                           return std::make_unique<MemoryHarness>(MemoryKeySource());
                         }));
INSTANTIATE_TEST_SUITE_P(Seeded, KeySourceContract, testing::Values([]() -> std::unique_ptr<KeySourceHarness> {
                           return std::make_unique<MemoryHarness>(MemoryKeySource("seed"));
                         }));

TEST(MemoryKeySourceTest, ASeedGivesTheSameKeysAgain) {
  MemoryKeySource first("seed"), second("seed"), other("another");
  const auto key = first.GetNamedKey(KeyKind::kStore, "files");
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(second.GetKey(key->id)->key->view(), key->key->view());
  EXPECT_EQ(other.GetKey(key->id).status().code(), StatusCode::kNotFound);
  first.RotateNames();
  EXPECT_NE(first.GetNamedKey(KeyKind::kStore, "files")->id, key->id);
  EXPECT_TRUE(first.GetKey(key->id).ok());
}

}  // namespace
}  // namespace cloister::storage
