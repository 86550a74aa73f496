// SPDX-License-Identifier: Apache-2.0
// What every EpochAnchor does. Include it in one test of each implementation and instantiate
// EpochAnchorContract with how to make a harness: a device (or none) of its own, empty.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "keyring/epoch_anchor.h"

namespace cloister::keyring {

class EpochAnchorHarness {
 public:
  virtual ~EpochAnchorHarness() = default;
  // An anchor as a process that was just started makes it; always of the same device and secret.
  virtual std::unique_ptr<EpochAnchor> Fresh() = 0;
  // The same with a wrong passphrase or PIN; null when there is no secret to know.
  virtual std::unique_ptr<EpochAnchor> WithWrongSecret() = 0;
  // Which bytes of a blob to alter one after the other. Leave out what only costs time, such as Argon2id's
  // memory.
  virtual std::vector<size_t> BytesToAlter(const std::string& blob) {
    std::vector<size_t> all(blob.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = i;
    return all;
  }
};

// Null with a reason in `missing` when this machine lacks the program that plays the device.
using EpochAnchorHarnessMaker = std::unique_ptr<EpochAnchorHarness> (*)(std::string& missing);

class EpochAnchorContract : public testing::TestWithParam<EpochAnchorHarnessMaker> {
 protected:
  static constexpr const char* kContext = "keyring 7f, epoch 1";

  void SetUp() override {
    std::string missing;
    harness_ = GetParam()(missing);
    if (harness_ == nullptr) GTEST_SKIP() << missing;
    anchor_ = harness_->Fresh();
  }
  // As the keyring does it: the name first.
  StatusOr<NewEpoch> Make(std::string_view context = kContext) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string name, anchor_->NewName());
    return anchor_->Create(name, context);
  }
  StatusCode CodeOfOpen(const EpochLocation& location, std::string_view context = kContext) {
    return anchor_->Open(location, context).status().code();
  }

  std::unique_ptr<EpochAnchorHarness> harness_;
  std::unique_ptr<EpochAnchor> anchor_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EpochAnchorContract);

TEST_P(EpochAnchorContract, OpensWhatItMade) {
  const auto name = anchor_->NewName();
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_LE(name->size(), kEpochNameBytesMax);
  const auto made = anchor_->Create(*name, kContext);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->key.size(), kEpochKeyBytes);
  EXPECT_EQ(made->location.name, *name);
  EXPECT_LE(made->location.blob.size(), kEpochBlobBytesMax);
  EXPECT_EQ(made->location.blob.find(made->key.view()), std::string::npos);
  for (int time = 0; time < 2; ++time) {
    const auto key = anchor_->Open(made->location, kContext);
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_EQ(key->view(), made->key.view());
  }
  EXPECT_FALSE(anchor_->Describe().empty());
}

TEST_P(EpochAnchorContract, OpensAfterARestart) {
  const auto made = Make();
  ASSERT_TRUE(made.ok()) << made.status();
  anchor_ = harness_->Fresh();
  const auto key = anchor_->Open(made->location, kContext);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->view(), made->key.view());
}

TEST_P(EpochAnchorContract, AWrongSecretIsSaidAndTouchesNothing) {
  const auto made = Make();
  ASSERT_TRUE(made.ok()) << made.status();
  const auto stranger = harness_->WithWrongSecret();
  if (stranger == nullptr) GTEST_SKIP() << "this anchor has no secret to know";
  EXPECT_EQ(stranger->Open(made->location, kContext).status().code(), StatusCode::kUnauthenticated);
  const auto key = anchor_->Open(made->location, kContext);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->view(), made->key.view());
}

TEST_P(EpochAnchorContract, AnotherContextIsRefused) {
  const auto made = Make();
  ASSERT_TRUE(made.ok()) << made.status();
  for (const std::string context :
       {"keyring 7f, epoch 2", "", "keyring 7f, epoch 11", "keyring 7f, epoch "}) {
    EXPECT_EQ(CodeOfOpen(made->location, context), StatusCode::kDataLoss) << "'" << context << "'";
  }
  EXPECT_TRUE(Make(std::string(64, 'c')).ok()) << "the longest context";
}

TEST_P(EpochAnchorContract, EpochsLiveSideBySide) {
  const auto first = Make(), second = Make();
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_NE(first->key.view(), second->key.view()) << "the same context, yet a random key each";
  const auto first_key = anchor_->Open(first->location, kContext);
  const auto second_key = anchor_->Open(second->location, kContext);
  ASSERT_TRUE(first_key.ok() && second_key.ok()) << first_key.status() << second_key.status();
  EXPECT_EQ(first_key->view(), first->key.view());
  EXPECT_EQ(second_key->view(), second->key.view());
  const auto gone = anchor_->Destroy(first->location.name);
  ASSERT_TRUE(gone.ok()) << gone;
  const auto left = anchor_->Open(second->location, kContext);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->view(), second->key.view());
}

TEST_P(EpochAnchorContract, TheBlobOfOneEpochDoesNotOpenAnother) {
  const auto first = Make(), second = Make();
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  if (first->location.name.empty()) GTEST_SKIP() << "the blob is all there is";
  EXPECT_EQ(CodeOfOpen({first->location.name, second->location.blob}), StatusCode::kDataLoss);
}

TEST_P(EpochAnchorContract, NamesAreNewAndMakeNothing) {
  std::set<std::string> names;
  for (int i = 0; i < 3; ++i) {
    const auto name = anchor_->NewName();
    ASSERT_TRUE(name.ok()) << name.status();
    if (name->empty()) GTEST_SKIP() << "no device, no names";
    const Status gone = anchor_->Destroy(*name);
    EXPECT_TRUE(gone.ok()) << "a name that no key has: " << gone;
    const auto made = anchor_->Create(*name, kContext);
    ASSERT_TRUE(made.ok()) << made.status();
    names.insert(*name);
  }
  EXPECT_EQ(names.size(), 3u);
}

TEST_P(EpochAnchorContract, ATakenNameIsRefusedAndItsKeyStays) {
  const auto made = Make();
  ASSERT_TRUE(made.ok()) << made.status();
  if (made->location.name.empty()) GTEST_SKIP() << "no device, no names";
  EXPECT_EQ(anchor_->Create(made->location.name, kContext).status().code(), StatusCode::kAlreadyExists);
  const auto key = anchor_->Open(made->location, kContext);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->view(), made->key.view());
}

TEST_P(EpochAnchorContract, DestroyingIsAsFinalAsItSays) {
  const auto made = Make();
  ASSERT_TRUE(made.ok()) << made.status();
  const EpochLocation copy = made->location;
  for (int time = 0; time < 2; ++time) {
    const Status gone = anchor_->Destroy(made->location.name);
    EXPECT_TRUE(gone.ok()) << gone;
  }
  anchor_ = harness_->Fresh();
  const auto after = anchor_->Open(copy, kContext);
  if (anchor_->DestroysForGood()) {
    EXPECT_EQ(after.status().code(), StatusCode::kNotFound);
    EXPECT_TRUE(anchor_->Destroy(copy.name).ok());
  } else {
    ASSERT_TRUE(after.ok()) << "an anchor that does not destroy must not look as if it did: "
                            << after.status();
    EXPECT_EQ(after->view(), made->key.view());
  }
}

TEST_P(EpochAnchorContract, AnAlteredBlobNeverOpens) {
  const auto made = Make();
  ASSERT_TRUE(made.ok()) << made.status();
  const std::string& blob = made->location.blob;
  for (const size_t byte : harness_->BytesToAlter(blob)) {
    EpochLocation altered = made->location;
    altered.blob[byte] = static_cast<char>(altered.blob[byte] ^ 1 << byte % 8);
    EXPECT_FALSE(anchor_->Open(altered, kContext).ok()) << "byte " << byte;
  }
  for (size_t size = 0; size < blob.size(); ++size) {
    EXPECT_EQ(CodeOfOpen({made->location.name, blob.substr(0, size)}), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(CodeOfOpen({made->location.name, blob + "x"}), StatusCode::kDataLoss);
  EXPECT_EQ(CodeOfOpen(made->location), StatusCode::kOk) << "and none of this hurt the key";
}

}  // namespace cloister::keyring
