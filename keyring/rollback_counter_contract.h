// SPDX-License-Identifier: Apache-2.0
// What every RollbackCounter does. Include from one test file per implementation and instantiate.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "keyring/rollback_counter.h"

namespace cloister::keyring {

// Holds the device. `Open` gives a counter object over the same device; null where the device cannot be had here.
class RollbackCounterHarness {
 public:
  virtual ~RollbackCounterHarness() = default;
  virtual std::unique_ptr<RollbackCounter> Open() = 0;
};

using RollbackCounterFactory = std::function<std::unique_ptr<RollbackCounterHarness>()>;

class RollbackCounterContract : public testing::TestWithParam<RollbackCounterFactory> {
 protected:
  void SetUp() override {
    harness_ = GetParam()();
    if (harness_ == nullptr) GTEST_SKIP() << "no such device here";
    counter_ = harness_->Open();
  }
  std::unique_ptr<RollbackCounterHarness> harness_;
  std::unique_ptr<RollbackCounter> counter_;
};

TEST_P(RollbackCounterContract, CountsByOneAndRemembers) {
  const auto name = counter_->NewName();
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(name->find(' '), std::string::npos);
  EXPECT_EQ(counter_->Read(*name).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(counter_->Increment(*name).status().code(), StatusCode::kNotFound);
  const auto first = counter_->Create(*name);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GT(*first, 0u);
  EXPECT_EQ(*counter_->Read(*name), *first);
  EXPECT_EQ(*counter_->Increment(*name), *first + 1);
  // Another process, another start: the device has it.
  const auto again = harness_->Open();
  EXPECT_EQ(*again->Read(*name), *first + 1);
  EXPECT_EQ(*again->Increment(*name), *first + 2);
  EXPECT_EQ(*counter_->Read(*name), *first + 2);
}

TEST_P(RollbackCounterContract, ANameIsTakenOnceAndNamesOfOthersAreRefused) {
  const auto name = counter_->NewName();
  ASSERT_TRUE(name.ok() && counter_->Create(*name).ok());
  EXPECT_EQ(counter_->Create(*name).status().code(), StatusCode::kAlreadyExists);
  const auto other = counter_->NewName();
  ASSERT_TRUE(other.ok());
  EXPECT_NE(*other, *name);
  EXPECT_EQ(counter_->Create("no name of this device").status().code(), StatusCode::kDataLoss);
}

}  // namespace cloister::keyring
