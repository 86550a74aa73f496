// SPDX-License-Identifier: Apache-2.0
// What every KeySource does. Include it in one test of each implementation and instantiate KeySourceContract
// with how to make a harness: two sources of different owners over one empty keyring.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "storage/key_source.h"

namespace cloister::storage {

class KeySourceHarness {
 public:
  virtual ~KeySourceHarness() = default;
  virtual KeySource& Own() = 0;
  virtual KeySource& Other() = 0;
};

using KeySourceHarnessMaker = std::unique_ptr<KeySourceHarness> (*)();

class KeySourceContract : public testing::TestWithParam<KeySourceHarnessMaker> {
 protected:
  void SetUp() override {
    harness_ = GetParam()();
    ASSERT_NE(harness_, nullptr);
  }
  KeySource& own() { return harness_->Own(); }
  KeySource& other() { return harness_->Other(); }

  std::unique_ptr<KeySourceHarness> harness_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KeySourceContract);

TEST_P(KeySourceContract, MakesAsManyDistinctKeysAsAskedFor) {
  for (const uint32_t count : {1u, 2u, kKeysPerCallMax}) {
    const auto keys = own().CreateKeys(KeyKind::kDocument, count);
    ASSERT_TRUE(keys.ok()) << keys.status();
    std::set<std::string> ids, values;
    for (const DataKey& key : *keys) {
      EXPECT_EQ(key.key->size(), 32u);
      ids.insert(key.id.hex());
      values.insert(std::string(key.key->view()));
    }
    EXPECT_EQ(ids.size(), count);
    EXPECT_EQ(values.size(), count);
  }
}

TEST_P(KeySourceContract, RefusesCountsOutOfBounds) {
  EXPECT_EQ(own().CreateKeys(KeyKind::kDocument, 0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(own().CreateKeys(KeyKind::kDocument, kKeysPerCallMax + 1).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_P(KeySourceContract, GivesBackWhatItMade) {
  for (const KeyKind kind :
       {KeyKind::kStore, KeyKind::kDocument, KeyKind::kSubject, KeyKind::kSegment, KeyKind::kSigning}) {
    const auto keys = own().CreateKeys(kind, 3);
    ASSERT_TRUE(keys.ok()) << keys.status();
    for (const DataKey& key : *keys) {
      const auto again = own().GetKey(key.id);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(again->id, key.id);
      EXPECT_EQ(again->key->view(), key.key->view());
    }
  }
}

TEST_P(KeySourceContract, KeysNeverMadeAreNotFound) {
  EXPECT_EQ(own().GetKey(KeyId()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(own().GetKey(*KeyId::FromBytes(std::string(16, 'x'))).status().code(), StatusCode::kNotFound);
}

TEST_P(KeySourceContract, KeysOfAnotherOwnerAreRefused) {
  const auto keys = own().CreateKeys(KeyKind::kDocument, 1);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(other().GetKey(keys->front().id).status().code(), StatusCode::kPermissionDenied);
  const auto named = own().GetNamedKey(KeyKind::kStore, "rows");
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(other().GetKey(named->id).status().code(), StatusCode::kPermissionDenied);
}

TEST_P(KeySourceContract, ANamedKeyStaysTheSame) {
  const auto first = own().GetNamedKey(KeyKind::kStore, "rows");
  const auto second = own().GetNamedKey(KeyKind::kStore, "rows");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->id, second->id);
  EXPECT_EQ(first->key->view(), second->key->view());
  const auto by_id = own().GetKey(first->id);
  ASSERT_TRUE(by_id.ok());
  EXPECT_EQ(by_id->key->view(), first->key->view());
}

TEST_P(KeySourceContract, NamedKeysDifferByNameKindAndOwner) {
  const auto rows = own().GetNamedKey(KeyKind::kStore, "rows");
  ASSERT_TRUE(rows.ok());
  for (const auto& key :
       {own().GetNamedKey(KeyKind::kStore, "index"), own().GetNamedKey(KeyKind::kSegment, "rows"),
        other().GetNamedKey(KeyKind::kStore, "rows")}) {
    ASSERT_TRUE(key.ok());
    EXPECT_NE(key->id, rows->id);
    EXPECT_NE(key->key->view(), rows->key->view());
  }
}

TEST_P(KeySourceContract, ConcurrentCallersGetOneNamedKey) {
  std::vector<std::string> ids(8);
  std::vector<std::thread> threads;
  for (std::string& id : ids) {
    threads.emplace_back([&] {
      const auto key = own().GetNamedKey(KeyKind::kStore, "rows");
      if (key.ok()) id = key->id.hex();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& id : ids) {
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(id, ids.front());
  }
}

TEST_P(KeySourceContract, DestroyedKeysAreGoneAndTheOthersStay) {
  const auto keys = own().CreateKeys(KeyKind::kDocument, 5);
  ASSERT_TRUE(keys.ok()) << keys.status();
  const auto named = own().GetNamedKey(KeyKind::kStore, "rows");
  const auto others = other().CreateKeys(KeyKind::kDocument, 1);
  ASSERT_TRUE(named.ok() && others.ok());
  const auto gone = own().DestroyKeys({(*keys)[1].id, (*keys)[3].id}, DestroyFor::kErasure);
  ASSERT_TRUE(gone.ok()) << gone.status();
  EXPECT_EQ(gone->destroyed, 2u);
  EXPECT_FALSE(gone->anchor.empty());
  EXPECT_FALSE(gone->escrow.empty());
  for (size_t i = 0; i < keys->size(); ++i) {
    const auto again = own().GetKey((*keys)[i].id);
    if (i == 1 || i == 3) {
      EXPECT_EQ(again.status().code(), StatusCode::kNotFound);
    } else {
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(again->key->view(), (*keys)[i].key->view());
    }
  }
  EXPECT_EQ(own().GetNamedKey(KeyKind::kStore, "rows")->key->view(), named->key->view());
  EXPECT_EQ(other().GetKey(others->front().id)->key->view(), others->front().key->view());
  // Again, as after a crash: nothing is left to do.
  const auto again = own().DestroyKeys({(*keys)[1].id, (*keys)[3].id}, DestroyFor::kErasure);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->destroyed, 0u);
  EXPECT_EQ(again->epoch, gone->epoch);
}

TEST_P(KeySourceContract, KeysOfAnotherOwnerAreNotDestroyed) {
  const auto mine = own().CreateKeys(KeyKind::kDocument, 1);
  const auto theirs = other().CreateKeys(KeyKind::kDocument, 1);
  ASSERT_TRUE(mine.ok() && theirs.ok());
  EXPECT_EQ(own().DestroyKeys({mine->front().id, theirs->front().id}, DestroyFor::kErasure).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_TRUE(own().GetKey(mine->front().id).ok());
  EXPECT_TRUE(other().GetKey(theirs->front().id).ok());
}

TEST_P(KeySourceContract, ANamedKeyIsRotatedAndTheFormerOneIsKnownByItsId) {
  EXPECT_EQ(own().RotateNamedKey(KeyKind::kStore, "never-made").status().code(), StatusCode::kNotFound);
  const auto former = own().GetNamedKey(KeyKind::kStore, "rows");
  ASSERT_TRUE(former.ok()) << former.status();
  const auto next = own().RotateNamedKey(KeyKind::kStore, "rows");
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_NE(next->id, former->id);
  EXPECT_NE(next->key->view(), former->key->view());
  EXPECT_EQ(own().GetNamedKey(KeyKind::kStore, "rows")->id, next->id);
  EXPECT_EQ(own().GetKey(former->id)->key->view(), former->key->view());
  ASSERT_TRUE(own().DestroyKeys({former->id}, DestroyFor::kUpkeep).ok());
  EXPECT_EQ(own().GetKey(former->id).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(own().GetNamedKey(KeyKind::kStore, "rows")->key->view(), next->key->view());
}

TEST_P(KeySourceContract, MarksAreKeptInOrderAndRemoved) {
  const std::string a(kMarkBytes, 'a'), b(kMarkBytes, 'b'), c(kMarkBytes, 'c');
  EXPECT_TRUE(own().Marks()->empty());
  ASSERT_TRUE(own().ChangeMarks({c, a}, {}).ok());
  ASSERT_TRUE(own().ChangeMarks({a, b}, {c}).ok());
  EXPECT_EQ(*own().Marks(), (std::vector<std::string>{a, b}));
  ASSERT_TRUE(own().ChangeMarks({}, {c}).ok());
  EXPECT_EQ(own().ChangeMarks({a.substr(1)}, {}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(own().ChangeMarks({}, {a + a}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(*own().Marks(), (std::vector<std::string>{a, b}));
  // A destruction leaves them alone.
  const auto keys = own().CreateKeys(KeyKind::kDocument, 1);
  ASSERT_TRUE(keys.ok() && own().DestroyKeys({keys->front().id}, DestroyFor::kErasure).ok());
  EXPECT_EQ(*own().Marks(), (std::vector<std::string>{a, b}));
}

}  // namespace cloister::storage
