// SPDX-License-Identifier: Apache-2.0
// The keys of rows, documents and segments replaced while the corpus is used: everything stays readable, and erasing
// reaches what former keys sealed.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "retrieval/holds.h"
#include "retrieval/versions_fixture.h"

namespace cloister::retrieval {
namespace {

class CorpusKeysTest : public VersionsTest {
 protected:
  Corpus& corpus() { return *test_.corpus; }
  void Replace(const std::vector<KeyId>& keys) { ASSERT_TRUE(test_.keys->ReplaceKeys(keys).ok()); }
  void ReplaceAll() {
    Replace(*corpus().RowKeys());
    Replace(*corpus().DocumentKeys());
    Replace(*corpus().SegmentKeys());
  }
  uint64_t Renew() {
    const auto renewed = corpus().Renew([] { return absl::OkStatus(); });
    EXPECT_TRUE(renewed.ok()) << renewed.status();
    return renewed.ok() ? *renewed : 0;
  }
  std::set<KeyId> KeysOf(const std::string& family) {
    std::set<KeyId> keys;
    EXPECT_TRUE(test_.store->GetSnapshot()
                    ->Scan(family, "",
                           [&](std::string_view, std::string_view record) {
                             keys.insert(*storage::RecordKeyId(record));
                             return true;
                           })
                    .ok());
    return keys;
  }
  // Destroys what was replaced, and reads everything again from the start.
  void EndFormer() {
    ASSERT_TRUE(audit_.DeliverEvents().ok());
    ASSERT_TRUE(test_.keys->DestroyFormerKeys().ok());
    Restart();
    EXPECT_EQ(corpus().GetStatus().unreadable_documents, 0u);
    EXPECT_EQ(corpus().GetStatus().quarantined, 0u);
  }
  std::string Text(const std::string& question) {
    const auto released = test_.Release("a.weber", test_.Search("a.weber", question));
    if (!released.ok()) return released.status().ToString();
    return released->passages.empty() ? "" : released->passages.front().text;
  }
};

TEST_F(CorpusKeysTest, EverythingIsReadableOnceTheFormerKeysAreGone) {
  const auto old = Put("the former wording");
  Put("the present wording");
  for (int i = 0; i < 5; ++i) Put("ward round number " + std::to_string(i), {}, "round" + std::to_string(i) + ".md");
  std::map<std::string, std::set<KeyId>> before;
  for (const std::string& family : ColumnFamilies()) before[family] = KeysOf(family);
  const auto segments = *corpus().SegmentKeys();
  ASSERT_GT(segments.size(), 1u);
  ReplaceAll();
  EXPECT_GT(Renew(), 20u);
  EXPECT_EQ(Renew(), 0u);
  for (const auto& [family, keys] : before) {
    for (const KeyId& key : KeysOf(family)) EXPECT_FALSE(keys.contains(key)) << family;
  }
  const auto segments_now = *corpus().SegmentKeys();
  for (const KeyId& key : segments_now) EXPECT_EQ(std::find(segments.begin(), segments.end(), key), segments.end());
  EXPECT_EQ(Text("present"), "the present wording");
  EndFormer();
  EXPECT_EQ(Text("present"), "the present wording");
  EXPECT_EQ(Read("officer", *old)->text, "the former wording\n");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Text("number " + std::to_string(i)), "ward round number " + std::to_string(i));
}

TEST_F(CorpusKeysTest, ChangesGoOnMeanwhile) {
  for (int i = 0; i < 30; ++i) Put("wording " + std::to_string(i), {}, "d" + std::to_string(i) + ".md");
  std::atomic<bool> stop = false;
  std::atomic<int> number = 30;
  std::thread changing([&] {
    while (!stop) {
      Put("wording " + std::to_string(number), {}, "d" + std::to_string(number % 40) + ".md");
      ++number;
    }
  });
  for (int round = 0; round < 4; ++round) {
    ReplaceAll();
    Renew();
  }
  stop = true;
  changing.join();
  while (Renew() > 0) {
  }
  EndFormer();
  EXPECT_EQ(corpus().documents().Count(), std::min<size_t>(40, static_cast<size_t>(number)));
  const std::string last = "wording " + std::to_string(number - 1);
  EXPECT_EQ(Text(std::to_string(number - 1)), last);
}

TEST_F(CorpusKeysTest, StoppedAnywhereItIsFinishedByTheNextCall) {
  for (int i = 0; i < 6; ++i) Put("wording " + std::to_string(i), {}, "d" + std::to_string(i) + ".md");
  ReplaceAll();
  int allowed = 0;
  for (; allowed < 200; ++allowed) {
    int left = allowed;
    const auto renewed = corpus().Renew([&] { return left-- > 0 ? absl::OkStatus() : Unavailable("stopped"); });
    if (renewed.ok()) break;
    Restart();
    ASSERT_EQ(corpus().GetStatus().unreadable_documents, 0u);
    ASSERT_EQ(Text("3"), "wording 3");
  }
  EXPECT_GT(allowed, 10);
  EXPECT_EQ(Renew(), 0u);
  EndFormer();
  EXPECT_EQ(Text("3"), "wording 3");
}

TEST_F(CorpusKeysTest, ErasingADocumentDestroysItsFormerKeysToo) {
  const auto info = Put("the diagnosis of the canary", {"patient-1"});
  Put("another wording", {}, "b.md");
  const KeyId first = KeyOf(*info);
  const std::string stolen = *test_.store->Get(kTextFamily, PartKey(info->document, info->version, 0));
  ReplaceAll();
  Renew();
  ASSERT_TRUE(HasKey(first));  // Backups of before still open.
  const auto erased = Erase(Subject("patient-1"));
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_EQ(erased->documents.size(), 1u);
  EXPECT_FALSE(HasKey(first));
  EXPECT_FALSE(HasKey(*storage::RecordKeyId(stolen)));
  EndFormer();
  EXPECT_EQ(Text("another"), "another wording");
}

TEST_F(CorpusKeysTest, ErasingInTheMiddleOfARotationDestroysBothKeys) {
  const auto info = Put("the diagnosis of the canary", {"patient-1"});
  const KeyId first = KeyOf(*info);
  ReplaceAll();
  int left = 3;
  EXPECT_FALSE(corpus().Renew([&] { return left-- > 0 ? absl::OkStatus() : Unavailable("stopped"); }).ok());
  const KeyId second = test_.keys->CurrentKeys({first})->front();
  ASSERT_NE(first, second);
  ASSERT_TRUE(Erase(Subject("patient-1")).ok());
  EXPECT_FALSE(HasKey(first));
  EXPECT_FALSE(HasKey(second));
  Renew();
  EndFormer();
}

TEST_F(CorpusKeysTest, AVersionGivenUpDuringARotationTakesBothKeysAlong) {
  SetClass("shred");
  const auto info = Put("the former wording");
  const KeyId first = KeyOf(*info);
  Replace(*corpus().DocumentKeys());
  Put("the present wording");
  Shred();
  EXPECT_FALSE(HasKey(first));
  EXPECT_EQ(*test_.keys->CurrentKeys({first}), std::vector<KeyId>{first});  // What replaced it is gone as well.
  Renew();
  EndFormer();
  EXPECT_EQ(Text("present"), "the present wording");
}

TEST_F(CorpusKeysTest, EventsThatWaitForTheLogAreSealedAnewAndDelivered) {
  Put("a wording", {"patient-1"});
  ASSERT_GT(corpus().rows().PendingEvents(), 0u);
  ReplaceAll();
  Renew();
  // Their former keys are not waited for any more, the present ones are.
  const auto keys = KeysOf(std::string(kOutboxFamily));
  EXPECT_EQ(corpus().rows().CheckDelivered({keys.begin(), keys.end()}).code(), StatusCode::kUnavailable);
  ASSERT_TRUE(test_.keys->DestroyFormerKeys().ok());
  Restart();
  audit_.events.clear();
  ASSERT_TRUE(audit_.DeliverEvents().ok());
  const bool told = std::any_of(audit_.events.begin(), audit_.events.end(),
                                [](const Event& event) { return event.name == "document.ingested"; });
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace cloister::retrieval
