// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/tpm_counter.h"

#include <gtest/gtest.h>

#include "keyring/hardware/device_fixture.h"
#include "keyring/hardware/tpm_device.h"
#include "keyring/hardware/tpm_names.h"
#include "keyring/rollback_counter_contract.h"

namespace cloister::keyring {
namespace {

class TpmCounterTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string missing = MissingProgram("swtpm", "swtpm");
    if (!missing.empty()) GTEST_SKIP() << missing;
    tpm_ = std::make_unique<SoftwareTpm>();
    options_.tcti = tpm_->tcti();
    counter_ = std::make_unique<TpmCounter>(options_);
  }

  std::unique_ptr<SoftwareTpm> tpm_;
  TpmOptions options_;
  std::unique_ptr<TpmCounter> counter_;
};

TEST_F(TpmCounterTest, GoesUpByOneAndOutlivesAKilledTpm) {
  const std::string name = *counter_->NewName();
  const auto first = counter_->Create(name);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GT(*first, 0u);
  for (uint64_t step = 1; step <= 3; ++step) {
    const auto next = counter_->Increment(name);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(*next, *first + step);
    tpm_->Kill();
    EXPECT_EQ(counter_->Read(name).status().code(), StatusCode::kUnavailable);
    EXPECT_EQ(counter_->Increment(name).status().code(), StatusCode::kUnavailable);
    tpm_->Start();
    const auto read = counter_->Read(name);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, *first + step);
  }
}

TEST_F(TpmCounterTest, ANewOneStartsAboveAllThatWere) {
  const std::string name = *counter_->NewName();
  ASSERT_TRUE(counter_->Create(name).ok());
  uint64_t last = 0;
  for (int i = 0; i < 5; ++i) last = *counter_->Increment(name);
  const Status gone = (*TpmDevice::Connect(options_.tcti, {}))->Undefine(*TpmIndexOfName(name));
  ASSERT_TRUE(gone.ok()) << gone;
  EXPECT_EQ(counter_->Read(name).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(counter_->Increment(name).status().code(), StatusCode::kNotFound);
  const auto again = counter_->Create(name);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_GT(*again, last);
}

TEST_F(TpmCounterTest, ATakenNameAndWhatIsNoCounterAreRefused) {
  const std::string name = *counter_->NewName();
  const auto first = counter_->Create(name);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(counter_->Create(name).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(*counter_->Read(name), *first);
  TpmAnchor anchor(options_);
  const auto epoch = anchor.Create(*anchor.NewName(), "keyring 7f, epoch 1");
  ASSERT_TRUE(epoch.ok()) << epoch.status();
  EXPECT_EQ(counter_->Read(epoch->location.name).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(counter_->Increment(epoch->location.name).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(anchor.Open(epoch->location, "keyring 7f, epoch 1").ok());
  EXPECT_EQ(counter_->Create("counter").status().code(), StatusCode::kDataLoss);
}

class TpmHarness final : public RollbackCounterHarness {
 public:
  std::unique_ptr<RollbackCounter> Open() override {
    TpmOptions options;
    options.tcti = tpm_.tcti();
    return std::make_unique<TpmCounter>(options);
  }

 private:
  SoftwareTpm tpm_;
};

INSTANTIATE_TEST_SUITE_P(Tpm, RollbackCounterContract, testing::Values([]() -> std::unique_ptr<RollbackCounterHarness> {
                           if (!MissingProgram("swtpm", "swtpm").empty()) return nullptr;
                           return std::make_unique<TpmHarness>();
                         }));

}  // namespace
}  // namespace cloister::keyring
