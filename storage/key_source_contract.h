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

TEST_P(KeySourceContract, AReplacedKeyIsKnownByItsIdAndItsNameGivesTheNewOne) {
  const auto former = own().GetNamedKey(KeyKind::kStore, "rows");
  const auto document = own().CreateKeys(KeyKind::kDocument, 2);
  ASSERT_TRUE(former.ok() && document.ok()) << former.status();
  const auto next = own().ReplaceKeys({former->id, (*document)[0].id});
  ASSERT_TRUE(next.ok()) << next.status();
  ASSERT_EQ(next->size(), 2u);
  const auto named = own().GetNamedKey(KeyKind::kStore, "rows");
  EXPECT_EQ(named->id, (*next)[0]);
  EXPECT_NE(named->key->view(), former->key->view());
  EXPECT_EQ(own().GetKey(former->id)->key->view(), former->key->view());
  EXPECT_NE(own().GetKey((*next)[1])->key->view(), (*document)[0].key->view());
  EXPECT_EQ(*own().CurrentKeys({former->id, (*next)[0], (*document)[0].id, (*document)[1].id, KeyId()}),
            (std::vector<KeyId>{(*next)[0], (*next)[0], (*next)[1], (*document)[1].id, KeyId()}));
}

TEST_P(KeySourceContract, AKeyIsReplacedOnceHoweverOftenThatIsAsked) {
  const auto keys = own().CreateKeys(KeyKind::kDocument, 2);
  ASSERT_TRUE(keys.ok()) << keys.status();
  const auto first = own().ReplaceKeys({(*keys)[0].id});
  const auto again = own().ReplaceKeys({(*keys)[0].id, (*keys)[1].id, (*keys)[0].id});
  ASSERT_TRUE(first.ok() && again.ok()) << again.status();
  EXPECT_EQ((*again)[0], first->front());
  EXPECT_EQ((*again)[2], first->front());
  EXPECT_NE((*again)[1], first->front());
  // What replaced it is replaced in turn.
  const auto third = own().ReplaceKeys({first->front()});
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(*own().CurrentKeys({(*keys)[0].id}), *third);
}

TEST_P(KeySourceContract, OnlyKeysThatAreThereAndAreTheCallersAndSealAreReplaced) {
  const auto mine = own().CreateKeys(KeyKind::kDocument, 1);
  const auto theirs = other().CreateKeys(KeyKind::kDocument, 1);
  const auto signing = own().GetNamedKey(KeyKind::kSigning, "log");
  ASSERT_TRUE(mine.ok() && theirs.ok() && signing.ok());
  const KeyId id = mine->front().id;
  EXPECT_EQ(own().ReplaceKeys({id, theirs->front().id}).status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(own().ReplaceKeys({id, signing->id}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(own().ReplaceKeys(std::vector<KeyId>(kKeysPerReplacementMax + 1, id)).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(own().CurrentKeys({theirs->front().id}).status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(*own().CurrentKeys({id}), std::vector<KeyId>{id});
  // One that is not there, perhaps because it was destroyed meanwhile, does not keep the others.
  const auto next = own().ReplaceKeys({KeyId(), id});
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->front(), KeyId());
  EXPECT_NE(next->back(), id);
}

TEST_P(KeySourceContract, DestroyingAKeyTakesAlongWhatItReplacedAndWhatReplacedIt) {
  const auto keys = own().CreateKeys(KeyKind::kDocument, 3);
  ASSERT_TRUE(keys.ok()) << keys.status();
  const auto second = own().ReplaceKeys({(*keys)[0].id, (*keys)[1].id});
  const auto third = own().ReplaceKeys({second->front()});
  ASSERT_TRUE(third.ok()) << third.status();
  // By the one in the middle.
  const auto gone = own().DestroyKeys({second->front()}, DestroyFor::kErasure);
  ASSERT_TRUE(gone.ok()) << gone.status();
  EXPECT_EQ(gone->destroyed, 3u);
  EXPECT_EQ(std::set<KeyId>(gone->along.begin(), gone->along.end()),
            (std::set<KeyId>{(*keys)[0].id, third->front()}));
  for (const KeyId& id : {(*keys)[0].id, second->front(), third->front()}) {
    EXPECT_EQ(own().GetKey(id).status().code(), StatusCode::kNotFound);
  }
  for (const KeyId& id : {(*keys)[1].id, second->back(), (*keys)[2].id}) EXPECT_TRUE(own().GetKey(id).ok());
}

TEST_P(KeySourceContract, FormerKeysAreDestroyedTogetherAndTheOthersStay) {
  const auto keys = own().CreateKeys(KeyKind::kDocument, 2);
  const auto theirs = other().CreateKeys(KeyKind::kDocument, 1);
  const auto rows = own().GetNamedKey(KeyKind::kStore, "rows");
  ASSERT_TRUE(keys.ok() && theirs.ok() && rows.ok());
  const auto next = own().ReplaceKeys({(*keys)[0].id, rows->id});
  const auto their_next = other().ReplaceKeys({theirs->front().id});
  ASSERT_TRUE(next.ok() && their_next.ok());
  const auto gone = own().DestroyFormerKeys();
  ASSERT_TRUE(gone.ok()) << gone.status();
  EXPECT_EQ(gone->destroyed, 2u);
  EXPECT_EQ(own().GetKey((*keys)[0].id).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(own().GetKey(rows->id).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(own().GetNamedKey(KeyKind::kStore, "rows")->id, next->back());
  for (const KeyId& id : {next->front(), next->back(), (*keys)[1].id}) EXPECT_TRUE(own().GetKey(id).ok());
  EXPECT_TRUE(other().GetKey(theirs->front().id).ok());
  EXPECT_EQ(own().DestroyFormerKeys()->destroyed, 0u);
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
