// SPDX-License-Identifier: Apache-2.0
#include "services/audit/people.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "services/audit/audit_service.h"
#include "services/audit/sections.h"
#include "storage/memory_key_source.h"
#include "storage/memory_store.h"

namespace cloister::services {
namespace {

const PersonName kAnna{PersonName::Kind::kUser, "anna"};
const PersonName kPatient{PersonName::Kind::kSubject, "patient 4711"};

class PeopleTest : public ::testing::Test {
 protected:
  DatabaseId database_ = crypto::RandomId<DatabaseId>();
  storage::MemoryStore store_{AuditColumnFamilies(), database_};
  storage::MemoryKeySource keys_;
};

TEST_F(PeopleTest, GivesEachTheirOwnAndKeepsIt) {
  People people(store_, database_, keys_);
  ASSERT_TRUE(people.Load().ok());
  const auto first = people.GetOrAdd({kAnna, kPatient, kAnna});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)[0].pseudonym, (*first)[2].pseudonym);
  EXPECT_NE((*first)[0].pseudonym, (*first)[1].pseudonym);
  EXPECT_NE((*first)[0].key_id, (*first)[1].key_id);
  EXPECT_EQ(keys_.created(), 2u);
  People again(store_, database_, keys_);
  ASSERT_TRUE(again.Load().ok());
  EXPECT_EQ(again.size(), 2u);
  EXPECT_EQ((*again.GetOrAdd({kAnna}))[0].pseudonym, (*first)[0].pseudonym);
  EXPECT_EQ(again.Find((*first)[1].pseudonym)->name, kPatient);
  EXPECT_EQ(keys_.created(), 2u);
}

TEST_F(PeopleTest, AUserAndASubjectOfOneNameAreTwo) {
  People people(store_, database_, keys_);
  const auto both = people.GetOrAdd({{PersonName::Kind::kUser, "x"}, {PersonName::Kind::kSubject, "x"}});
  EXPECT_NE((*both)[0].pseudonym, (*both)[1].pseudonym);
}

TEST_F(PeopleTest, ADocumentIsNeitherUserNorSubjectOfItsName) {
  const std::string id(32, 'd');
  const PersonName document{*ParsePersonKind("document"), id};
  Pseudonym pseudonym;
  {
    People people(store_, database_, keys_);
    pseudonym = (*people.GetOrAdd({document}))[0].pseudonym;
    EXPECT_NE((*people.GetOrAdd({{PersonName::Kind::kSubject, id}}))[0].pseudonym, pseudonym);
  }
  People again(store_, database_, keys_);
  ASSERT_TRUE(again.Load().ok());
  ASSERT_TRUE(again.Find(pseudonym).ok());
  EXPECT_EQ(again.Find(pseudonym)->name, document);
  EXPECT_EQ(KindName(again.Find(pseudonym)->name.kind), "document");
}

TEST_F(PeopleTest, TakesKeysAheadSoThatMostNewOnesWaitForNone) {
  People people(store_, database_, keys_, 4);
  std::set<KeyId> used;
  const std::vector<uint64_t> created = {5, 5, 5, 5, 5, 10};
  for (size_t i = 0; i < created.size(); ++i) {
    const auto added = people.GetOrAdd({{PersonName::Kind::kDocument, std::to_string(i)}});
    ASSERT_TRUE(added.ok()) << added.status();
    used.insert((*added)[0].key_id);
    EXPECT_EQ(keys_.created(), created[i]) << i;
  }
  EXPECT_EQ(used.size(), created.size());  // No key serves two.
}

TEST_F(PeopleTest, WhoIsBeingForgottenComesBackAsSomebodyElse) {
  People people(store_, database_, keys_);
  const auto before = people.GetOrAdd({kAnna, kPatient});
  const auto begun = people.BeginForgetting({kAnna, {PersonName::Kind::kUser, "nobody"}});
  ASSERT_TRUE(begun.ok()) << begun.status();
  ASSERT_EQ(begun->size(), 1u);
  EXPECT_EQ((*begun)[0].pseudonym, (*before)[0].pseudonym);
  EXPECT_NE((*people.GetOrAdd({kAnna}))[0].pseudonym, (*before)[0].pseudonym);
  EXPECT_TRUE(people.Find((*before)[0].pseudonym).ok());  // Until it is done.
  ASSERT_TRUE(people.EndForgetting(*begun).ok());
  EXPECT_EQ(people.Find((*before)[0].pseudonym).status().code(), StatusCode::kNotFound);
  People again(store_, database_, keys_);
  ASSERT_TRUE(again.Load().ok());
  EXPECT_EQ(again.size(), 2u);
  EXPECT_TRUE(again.BeginForgetting({})->empty());
}

TEST_F(PeopleTest, AMarkOutlivesAStopWithTheKeyAndWithout) {
  Person anna, patient;
  {
    People people(store_, database_, keys_);
    const auto added = people.GetOrAdd({kAnna, kPatient});
    anna = (*added)[0], patient = (*added)[1];
    ASSERT_TRUE(people.BeginForgetting({kAnna, kPatient}).ok());
  }
  keys_.Lose(patient.key_id);
  People again(store_, database_, keys_);
  ASSERT_TRUE(again.Load().ok());
  EXPECT_EQ(again.size(), 0u);
  const auto unfinished = again.BeginForgetting({});
  ASSERT_EQ(unfinished->size(), 2u);
  for (const Person& person : *unfinished) {
    const bool is_anna = person.pseudonym == anna.pseudonym;
    EXPECT_EQ(person.key_id, is_anna ? anna.key_id : patient.key_id);
    EXPECT_EQ(person.name.name, is_anna ? "anna" : "");
  }
}

TEST_F(PeopleTest, TheMappingDiesWithTheKey) {
  People people(store_, database_, keys_);
  const auto added = people.GetOrAdd({kAnna, kPatient});
  keys_.Lose((*added)[1].key_id);
  People again(store_, database_, keys_);
  ASSERT_TRUE(again.Load().ok());
  EXPECT_EQ(again.size(), 1u);
  EXPECT_EQ(again.Find((*added)[1].pseudonym).status().code(), StatusCode::kNotFound);
  // Somebody new under the old name is somebody else.
  EXPECT_NE((*again.GetOrAdd({kPatient}))[0].pseudonym, (*added)[1].pseudonym);
}

TEST_F(PeopleTest, NoRowHoldsAName) {
  People people(store_, database_, keys_);
  ASSERT_TRUE(people.GetOrAdd({kAnna, kPatient}).ok());
  int rows = 0;
  ASSERT_TRUE(store_.GetSnapshot()
                  ->Scan(kPeopleFamily, "",
                         [&](std::string_view key, std::string_view value) {
                           EXPECT_EQ(value.find("anna"), std::string_view::npos);
                           EXPECT_EQ(value.find("4711"), std::string_view::npos);
                           EXPECT_EQ(key.size(), kIdBytes);
                           ++rows;
                           return true;
                         })
                  .ok());
  EXPECT_EQ(rows, 2);
}

TEST_F(PeopleTest, ADamagedRowDoesNotStopTheOthers) {
  People people(store_, database_, keys_);
  const auto added = people.GetOrAdd({kAnna, kPatient});
  storage::WriteBatch batch;
  batch.Put(kPeopleFamily, (*added)[0].pseudonym.bytes(), "not a sealed record");
  ASSERT_TRUE(store_.Write(batch).ok());
  People again(store_, database_, keys_);
  EXPECT_TRUE(again.Load().ok());
  EXPECT_EQ(again.size(), 1u);
}

TEST_F(PeopleTest, RefusesUnfitNamesAndFailedWrites) {
  People people(store_, database_, keys_);
  for (const std::string name : {"", "\xff"}) {
    EXPECT_EQ(people.GetOrAdd({{PersonName::Kind::kUser, name}}).status().code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(people.GetOrAdd({{PersonName::Kind::kUser, std::string(257, 'n')}}).status().code(),
            StatusCode::kInvalidArgument);
  store_.FailWrites(Unavailable("disk"));
  EXPECT_EQ(people.GetOrAdd({kAnna}).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(people.size(), 0u);
}

TEST_F(PeopleTest, NobodyGetsTwoPseudonymsHoweverManyAskAtOnce) {
  People people(store_, database_, keys_);
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::set<Pseudonym> seen;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      const auto added = people.GetOrAdd({kAnna});
      std::lock_guard lock(mutex);
      seen.insert((*added)[0].pseudonym);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen.size(), 1u);
}

class SectionsTest : public PeopleTest {
 protected:
  Person Anna() { return (*people_.GetOrAdd({kAnna}))[0]; }
  audit::SealedSection Stored(std::string_view content) {
    auto section = sections_.Seal(Anna(), content);
    EXPECT_TRUE(section.ok()) << section.status();
    EXPECT_TRUE(sections_.Put({&*section}).ok());
    return *section;
  }
  Status ErrorOf(const audit::SealedSection& section) {
    return sections_.Open({section.id, section.commitment}).status();
  }
  void FlipInRow(std::string_view family, const SectionId& id, size_t bit) {
    std::string row = *store_.Get(family, id.bytes());
    row[bit / 8] = static_cast<char>(row[bit / 8] ^ (1 << bit % 8));
    storage::WriteBatch batch;
    batch.Put(family, id.bytes(), row);
    ASSERT_TRUE(store_.Write(batch).ok());
  }
  People people_{store_, database_, keys_};
  Sections sections_{store_, database_, keys_, people_};
};

TEST_F(SectionsTest, OpenAgain) {
  const auto section = Stored("{\"question\":\"is it raining\"}");
  EXPECT_EQ(section.sealed.find("raining"), std::string::npos);
  const auto opened = sections_.Open({section.id, section.commitment});
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->content_json, "{\"question\":\"is it raining\"}");
  EXPECT_EQ(opened->about, kAnna);
}

TEST_F(SectionsTest, MayComeTwiceAsAfterACrash) {
  const auto section = Stored("{}");
  EXPECT_TRUE(sections_.Put({&section}).ok());
  EXPECT_TRUE(sections_.Open({section.id, section.commitment}).ok());
}

TEST_F(SectionsTest, StayClosedOnceTheKeyIsDestroyed) {
  const auto section = Stored("{\"a\":1}");
  keys_.Lose(Anna().key_id);
  EXPECT_EQ(ErrorOf(section).code(), StatusCode::kNotFound);
}

TEST_F(SectionsTest, ClearingTakesTheSectionsOfOneKeyAndSaysSoOfThem) {
  const auto gone = Stored("{\"a\":1}"), also_gone = Stored("{\"b\":1}");
  auto other = sections_.Seal((*people_.GetOrAdd({kPatient}))[0], "{\"c\":1}");
  ASSERT_TRUE(sections_.Put({&*other}).ok());
  const KeyId key = Anna().key_id;
  keys_.Lose(key);
  EXPECT_EQ(*sections_.ClearForgotten({key}), 2u);
  EXPECT_EQ(*sections_.ClearForgotten({key}), 0u);
  for (const auto* section : {&gone, &also_gone}) {
    EXPECT_EQ(ErrorOf(*section).code(), StatusCode::kNotFound);
    EXPECT_FALSE(store_.Get(kSectionsFamily, section->id.bytes()).ok());
    EXPECT_EQ(*store_.Get(kSectionKeysFamily, section->id.bytes()), kForgottenSection);
  }
  EXPECT_TRUE(ErrorOf(*other).ok());
}

TEST_F(SectionsTest, ClearingGoesOnWhereABatchEnds) {
  std::vector<audit::SealedSection> sections;
  for (size_t i = 0; i < kSectionsPerClearing + 5; ++i) sections.push_back(*sections_.Seal(Anna(), "{}"));
  std::vector<const audit::SealedSection*> all;
  for (const auto& section : sections) all.push_back(&section);
  ASSERT_TRUE(sections_.Put(all).ok());
  EXPECT_EQ(*sections_.ClearForgotten({Anna().key_id}), sections.size());
  EXPECT_EQ(ErrorOf(sections.front()).code(), StatusCode::kNotFound);
  EXPECT_EQ(ErrorOf(sections.back()).code(), StatusCode::kNotFound);
}

TEST_F(SectionsTest, EveryFlippedBitIsDamage) {
  const auto section = Stored("{\"a\":1}");
  for (const std::string_view family : {kSectionsFamily, kSectionKeysFamily}) {
    const size_t bits = store_.Get(family, section.id.bytes())->size() * 8;
    for (size_t bit = 0; bit < bits; ++bit) {
      FlipInRow(family, section.id, bit);
      const Status status = ErrorOf(section);
      EXPECT_FALSE(status.ok()) << family << bit;
      FlipInRow(family, section.id, bit);
    }
  }
  EXPECT_TRUE(ErrorOf(section).ok());
}

TEST_F(SectionsTest, AnotherCommitmentOrAMissingRowIsDamage) {
  const auto one = Stored("{\"a\":1}"), two = Stored("{\"a\":1}");
  EXPECT_NE(one.commitment, two.commitment);  // Equal content, different salts.
  EXPECT_EQ(sections_.Open({one.id, two.commitment}).status().code(), StatusCode::kDataLoss);
  storage::WriteBatch batch;
  batch.Delete(kSectionsFamily, one.id.bytes());
  ASSERT_TRUE(store_.Write(batch).ok());
  EXPECT_EQ(ErrorOf(one).code(), StatusCode::kDataLoss);
}

TEST_F(SectionsTest, BoundAndCheckTheirContent) {
  EXPECT_EQ(sections_.Seal(Anna(), "not json").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(sections_.Seal(Anna(), "\"\xff\"").status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(
      sections_.Seal(Anna(), "{\"score\":0.5,\"yes\":true}").ok());  // Any JSON: it is not hashed as such.
  EXPECT_TRUE(sections_.Seal(Anna(), "\"" + std::string(kSectionBytesMax - 2, 'x') + "\"").ok());
  EXPECT_EQ(sections_.Seal(Anna(), "\"" + std::string(kSectionBytesMax - 1, 'x') + "\"").status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::services
