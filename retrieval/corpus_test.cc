// SPDX-License-Identifier: Apache-2.0
#include "retrieval/corpus.h"

#include <gtest/gtest.h>

#include "retrieval/test_support.h"

namespace cloister::retrieval {
namespace {

class CorpusTest : public testing::Test {
 protected:
  CorpusTest() {
    test_.AddCollection("ward", {"nurses"});
    test_.AddUser("a.weber", {"nurses"});
  }
  std::vector<std::string> SourcesFor(const std::string& question) {
    std::vector<std::string> sources;
    for (const SearchHit& hit : test_.Search("a.weber", question).hits) sources.push_back(hit.source);
    return sources;
  }
  StatusCode PutCode(const NewDocument& document) {
    return test_.corpus->Put(document, "ingest").status().code();
  }
  CorpusStatus Counts() { return test_.corpus->GetStatus(); }

  TestCorpus test_;
};

using Sources = std::vector<std::string>;

TEST_F(CorpusTest, WhatIsPutIsFoundAtOnceAndAfterARestart) {
  test_.Put(DocumentOf("ward", "insulin.md", {"The insulin dose is four units.", "Visits end at eight."}));
  EXPECT_EQ(SourcesFor("insulin dose"), Sources{"insulin.md"});
  EXPECT_EQ(Counts().chunks, 2u);
  test_.Reopen();
  EXPECT_EQ(SourcesFor("insulin dose"), Sources{"insulin.md"});
  EXPECT_EQ(Counts().documents, 1u);
  EXPECT_EQ(Counts().chunks, 2u);
}

TEST_F(CorpusTest, TheSameContentChangesNothing) {
  const auto document = DocumentOf("ward", "a.md", {"alpha"});
  const auto first = test_.Put(document);
  const uint64_t sequence = Counts().commit_sequence;
  const auto second = test_.Put(document);
  EXPECT_TRUE(second.unchanged);
  EXPECT_EQ(second.info->version, first.info->version);
  EXPECT_EQ(Counts().commit_sequence, sequence);
  test_.Reopen();
  EXPECT_TRUE(test_.Put(document).unchanged);
}

TEST_F(CorpusTest, ANewVersionReplacesTheOldOneEverywhere) {
  const auto first = test_.Put(DocumentOf("ward", "a.md", {"alpha", "beta"}));
  const auto second = test_.Put(DocumentOf("ward", "a.md", {"gamma"}));
  EXPECT_FALSE(second.unchanged);
  EXPECT_EQ(second.info->document, first.info->document);
  EXPECT_NE(second.info->version, first.info->version);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(SourcesFor("alpha beta"), Sources{});
    EXPECT_EQ(SourcesFor("gamma"), Sources{"a.md"});
    EXPECT_EQ(Counts().chunks, 1u);
    test_.Reopen();
  }
  const auto snapshot = test_.store->GetSnapshot();
  for (const std::string& family : ColumnFamilies()) {
    size_t old_rows = 0;
    ASSERT_TRUE(snapshot
                    ->Scan(family, VersionKey(first.info->document, first.info->version),
                           [&](auto, auto) { return ++old_rows, true; })
                    .ok());
    EXPECT_EQ(old_rows, 0u) << family;
  }
}

TEST_F(CorpusTest, WhatWaitedBehindANewerVersionDoesNotReplaceIt) {
  auto first = DocumentOf("ward", "a.md", {"alpha"});
  first.replaces = VersionId();
  const VersionId before = test_.Put(first).info->version;
  auto second = DocumentOf("ward", "a.md", {"beta"});
  second.replaces = before;
  const VersionId present = test_.Put(second).info->version;
  auto late = DocumentOf("ward", "a.md", {"gamma"});
  for (const VersionId& expected : {before, VersionId()}) {
    late.replaces = expected;
    EXPECT_EQ(test_.corpus->Put(late, "ingest").status().code(), StatusCode::kAborted);
    EXPECT_EQ(test_.corpus->Delete({"ward", "", "a.md"}, "ingest", expected).status().code(), StatusCode::kAborted);
  }
  EXPECT_TRUE(test_.Put(second).unchanged);  // A call that is repeated because its answer was lost.
  EXPECT_EQ(SourcesFor("beta"), Sources{"a.md"});
  EXPECT_TRUE(*test_.corpus->Delete({"ward", "", "a.md"}, "ingest", present));
  late.replaces = present;
  EXPECT_EQ(test_.corpus->Put(late, "ingest").status().code(), StatusCode::kAborted);
  EXPECT_EQ(SourcesFor("gamma"), Sources{});
}

TEST_F(CorpusTest, AChangedTitleOrDateIsANewVersion) {
  auto document = DocumentOf("ward", "a.md", {"alpha"});
  test_.Put(document);
  document.effective_to = "2026-01-01";
  EXPECT_FALSE(test_.Put(document).unchanged);
  EXPECT_EQ(SourcesFor("alpha"), Sources{});
}

TEST_F(CorpusTest, SourcesOfTwoOriginsNeverMeet) {
  auto first = DocumentOf("ward", "a.md", {"alpha"});
  first.origin = "/srv/first";
  auto second = DocumentOf("ward", "a.md", {"beta"});
  second.origin = "/srv/second";
  test_.Put(first);
  EXPECT_FALSE(test_.Put(second).replaced.has_value());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(SourcesFor("alpha"), Sources{"a.md"});
    EXPECT_EQ(SourcesFor("beta"), Sources{"a.md"});
    test_.Reopen();
  }
  EXPECT_TRUE(*test_.corpus->Delete({"ward", "/srv/second", "a.md"}, "ingest"));
  EXPECT_EQ(SourcesFor("alpha"), Sources{"a.md"});
  EXPECT_EQ(SourcesFor("beta"), Sources{});
}

// Otherwise ingest would make the same document again at every run.
TEST_F(CorpusTest, AnotherInputDigestIsRemembered) {
  auto document = DocumentOf("ward", "a.md", {"alpha"});
  test_.Put(document);
  document.input_sha256 = std::string(32, 'd');
  EXPECT_FALSE(test_.Put(document).unchanged);
  EXPECT_TRUE(test_.Put(document).unchanged);
  test_.Reopen();
  EXPECT_EQ(test_.corpus->documents().FindSource({"ward", "", "a.md"})->input_sha256, document.input_sha256);
  document.input_sha256 = "short";
  EXPECT_EQ(test_.corpus->Put(document, "ingest").status().code(), StatusCode::kInvalidArgument);
}

TEST_F(CorpusTest, DeletedDocumentsAreGoneFromRowsAndIndex) {
  const auto put = test_.Put(DocumentOf("ward", "a.md", {"alpha"}));
  EXPECT_TRUE(*test_.corpus->Delete({"ward", "", "a.md"}, "ingest"));
  EXPECT_FALSE(*test_.corpus->Delete({"ward", "", "a.md"}, "ingest"));
  EXPECT_EQ(SourcesFor("alpha"), Sources{});
  for (const std::string& family : ColumnFamilies()) {
    size_t rows = 0;
    ASSERT_TRUE(test_.store->GetSnapshot()
                    ->Scan(family, put.info->document.bytes(), [&](auto, auto) { return ++rows, true; })
                    .ok());
    EXPECT_EQ(rows, 0u) << family;
  }
}

TEST_F(CorpusTest, LongDocumentsSpanManyRowsAndReadBackExactly) {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i)
    texts.push_back("part" + std::to_string(i) + " " + std::string(2'000, static_cast<char>('a' + i % 26)));
  const auto document = DocumentOf("ward", "long.md", texts);
  const auto put = test_.Put(document);
  test_.Reopen();
  const auto snapshot = test_.corpus->rows().GetSnapshot();
  auto& documents = test_.corpus->documents();
  EXPECT_EQ(*documents.TextAt(*snapshot, *put.info, 0, document.text.size()), document.text);
  EXPECT_EQ(*documents.OriginalAt(*snapshot, *put.info), document.original);
  for (const uint32_t i : {0u, 31u, 32u, 131u, 299u}) {
    const auto content = documents.ChunkAt(*snapshot, *put.info, i);
    ASSERT_TRUE(content.ok()) << MessageOf(content.status());
    EXPECT_EQ(content->text, texts[i]);
    EXPECT_EQ(content->sentence_vectors, document.chunks[i].sentence_vectors);
  }
  EXPECT_EQ(documents.ChunkAt(*snapshot, *put.info, 300).status().code(), StatusCode::kDataLoss);
}

TEST_F(CorpusTest, ACollectionWithoutSentenceVectorsStoresNone) {
  ASSERT_TRUE(
      test_.corpus->directory().PutCollection({"plain", {"nurses"}, {}, "internal", true}, "gateway").ok());
  const auto put = test_.Put(DocumentOf("plain", "a.md", {"alpha"}));
  EXPECT_FALSE(put.info->sentence_vectors);
  EXPECT_TRUE(test_.Put(DocumentOf("plain", "a.md", {"alpha"})).unchanged);
  EXPECT_TRUE(test_.corpus->documents()
                  .ChunkAt(*test_.corpus->rows().GetSnapshot(), *put.info, 0)
                  ->sentence_vectors.empty());
}

TEST_F(CorpusTest, RefusesWhatBreaksALimit) {
  const auto good = DocumentOf("ward", "a.md", {"alpha \xC3\xA9t\xC3\xA9"});
  const auto refused = [&](const std::function<void(NewDocument&)>& change) {
    NewDocument document = good;
    change(document);
    return PutCode(document) == StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](auto& d) { d.collection = "No Such"; }));
  EXPECT_TRUE(refused([](auto& d) { d.source.clear(); }));
  EXPECT_TRUE(refused([](auto& d) { d.source = std::string(kSourceBytesMax + 1, 'x'); }));
  EXPECT_TRUE(refused([](auto& d) { d.source = std::string("a\0b", 3); }));
  EXPECT_TRUE(refused([](auto& d) { d.title = "\xFF"; }));
  EXPECT_TRUE(refused([](auto& d) { d.title = std::string(kMetadataBytesMax + 1, 'x'); }));
  EXPECT_TRUE(refused([](auto& d) { d.effective_from = "2026-02-30"; }));
  EXPECT_TRUE(refused([](auto& d) { d.effective_to = "tomorrow"; }));
  EXPECT_TRUE(refused([](auto& d) { d.subjects = {""}; }));
  EXPECT_TRUE(refused([](auto& d) { d.subjects.assign(kSubjectsMax + 1, "s"); }));
  EXPECT_TRUE(refused([](auto& d) { d.original.resize(kOriginalBytesMax + 1); }));
  EXPECT_TRUE(refused([](auto& d) { d.text.resize(kTextBytesMax + 1, 'x'); }));
  EXPECT_TRUE(refused([](auto& d) { d.chunks[0].chunk.end = d.text.size() + 1; }));
  EXPECT_TRUE(refused([](auto& d) {
    d.chunks[0].chunk.end = 7;
    d.chunks[0].chunk.sentences.clear();
    d.chunks[0].sentence_vectors.clear();
  }));
  EXPECT_TRUE(refused([](auto& d) { d.chunks[0].chunk.sentences[0].end += 1; }));
  EXPECT_TRUE(refused([](auto& d) { d.chunks[0].chunk.sentences[0].kind = 4; }));
  EXPECT_TRUE(refused([](auto& d) { d.chunks[0].chunk.sentences[0].lead_in = 1; }));
  EXPECT_TRUE(refused([](auto& d) { d.chunks[0].chunk.section.assign(kSectionDepthMax + 1, "h"); }));
  EXPECT_TRUE(refused([](auto& d) { d.chunks[0].vector[0] = std::nanf(""); }));
  EXPECT_TRUE(refused([](auto& d) { d.chunks[0].vector.clear(); }));
  EXPECT_TRUE(refused([](auto& d) { d.chunks[0].sentence_vectors.pop_back(); }));
  EXPECT_EQ(Counts().documents, 0u);
  EXPECT_TRUE(test_.corpus->Put(good, "ingest").ok());
}

TEST_F(CorpusTest, RefusesAnUnknownCollection) {
  EXPECT_EQ(PutCode(DocumentOf("elsewhere", "a.md", {"alpha"})), StatusCode::kNotFound);
}

TEST_F(CorpusTest, RefusesVectorsOfAnotherEmbedder) {
  test_.Put(DocumentOf("ward", "a.md", {"alpha"}));
  auto other = DocumentOf("ward", "b.md", {"beta"});
  other.embedder_sha256 = std::string(64, 'f');
  EXPECT_EQ(PutCode(other), StatusCode::kFailedPrecondition);
  other.source = "a.md";  // The only document with vectors may change its embedder.
  EXPECT_EQ(PutCode(other), StatusCode::kOk);
}

TEST_F(CorpusTest, AFailedWriteLeavesNothingBehind) {
  test_.Put(DocumentOf("ward", "a.md", {"alpha"}));
  test_.store->FailWrites(ResourceExhausted("disk full"));
  EXPECT_EQ(PutCode(DocumentOf("ward", "b.md", {"beta"})), StatusCode::kResourceExhausted);
  EXPECT_EQ(test_.corpus->Delete({"ward", "", "a.md"}, "ingest").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(SourcesFor("beta"), Sources{});
  EXPECT_EQ(SourcesFor("alpha"), Sources{"a.md"});
}

TEST_F(CorpusTest, RowKeysAndValuesShowNoNames) {
  auto document = DocumentOf("ward", "secret-path.md", {"confidential-sentence about insulin"});
  document.title = "secret-title";
  document.subjects = {"patient-4711"};
  test_.Put(document);
  std::string everything;
  for (const std::string& family : ColumnFamilies()) {
    ASSERT_TRUE(test_.store->GetSnapshot()
                    ->Scan(family, "",
                           [&](std::string_view key, std::string_view value) {
                             everything.append(key).append(value);
                             return true;
                           })
                    .ok());
  }
  ASSERT_GT(everything.size(), 1'000u);
  for (const char* word :
       {"secret-path", "secret-title", "confidential", "4711", "a.weber", "nurses", "ward"}) {
    EXPECT_EQ(everything.find(word), std::string::npos) << word;
  }
}

// Dates and successors.

TEST_F(CorpusTest, OnlyDocumentsInForceAreFoundUnlessAskedFor) {
  const auto put = [&](const std::string& source, const std::string& from, const std::string& to,
                       const std::string& successor) {
    auto document = DocumentOf("ward", source, {"rule " + source});
    document.effective_from = from, document.effective_to = to, document.superseded_by = successor;
    test_.Put(document);
  };
  put("current", "2026-11-22", "2026-11-22", "");
  put("future", "2026-11-23", "", "");
  put("past", "", "2026-11-21", "");
  put("replaced", "", "", "current");
  put("replaced-by-future", "", "", "future");
  put("replaced-by-absent", "", "", "nowhere");
  for (int round = 0; round < 2; ++round) {
    Sources found = SourcesFor("rule");
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, (Sources{"current", "replaced-by-absent", "replaced-by-future"}));
    auto request = test_.RequestOf("a.weber", "rule");
    request.include_not_in_force = true;
    EXPECT_EQ(test_.searcher->Search(request)->hits.size(), 6u);
    test_.Reopen();
  }
  test_.clock.Advance(std::chrono::hours(24));  // The future comes.
  Sources found = SourcesFor("rule");
  std::sort(found.begin(), found.end());
  // The successor of "replaced" has lapsed, so it is in force again: somebody withdrew the new rule.
  EXPECT_EQ(found, (Sources{"future", "replaced", "replaced-by-absent"}));
}

TEST_F(CorpusTest, DatesMustBeDaysThatExist) {
  for (const char* date : {"2026-11-22", "2024-02-29", "0001-01-01"})
    EXPECT_TRUE(CheckDate(date).ok()) << date;
  for (const char* date : {"", "2026", "2026-13-01", "2026-02-29", "2026-00-10", "2026-1-1", "26-11-22xx",
                           "2026/11/22", "20a6-11-22"}) {
    EXPECT_EQ(CheckDate(date).code(), StatusCode::kInvalidArgument) << date;
  }
}

// Events.

TEST_F(CorpusTest, EveryChangeLeavesAnEventUntilItIsDelivered) {
  auto document = DocumentOf("ward", "a.md", {"alpha"});
  document.subjects = {"patient-1"};
  test_.Put(document);
  document.title = "Other";
  test_.Put(document);
  ASSERT_TRUE(test_.corpus->Delete({"ward", "", "a.md"}, "ingest").ok());
  EXPECT_EQ(
      test_.corpus->rows().DeliverEvents([](const Event&) { return Unavailable("audit is down"); }).code(),
      StatusCode::kUnavailable);
  test_.Reopen();  // Nothing is lost by a crash.
  std::vector<std::string> names, ids;
  ASSERT_TRUE(test_.corpus->rows()
                  .DeliverEvents([&](const Event& event) {
                    names.push_back(event.name);
                    ids.push_back(event.row_key);
                    if (event.name == "document.ingested") {
                      EXPECT_EQ(event.subjects, Sources{"patient-1"});
                    }
                    return Status();
                  })
                  .ok());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (Sources{"directory.changed", "document.deleted", "document.ingested", "document.updated",
                            "policy.changed"}));
  EXPECT_EQ(test_.corpus->rows().PendingEvents(), 0u);
  test_.AddUser("b.kern", {});  // The next change clears what was delivered.
  test_.Reopen();
  EXPECT_EQ(test_.corpus->rows().PendingEvents(), 1u);
}

// Damage.

// Every row of one document, one flipped byte at a time: that document is not served, the others are.
TEST_F(CorpusTest, DamagedRowsAreNeverServed) {
  test_.Put(DocumentOf("ward", "good.md", {"alpha good"}));
  const auto bad = test_.Put(DocumentOf("ward", "bad.md", {"alpha bad"}));
  struct Row {
    std::string family, key, value;
  };
  std::vector<Row> rows;
  for (const std::string& family : ColumnFamilies()) {
    ASSERT_TRUE(test_.store->GetSnapshot()
                    ->Scan(family, bad.info->document.bytes(),
                           [&](std::string_view key, std::string_view value) {
                             rows.push_back({family, std::string(key), std::string(value)});
                             return true;
                           })
                    .ok());
  }
  ASSERT_GE(rows.size(), 6u);
  const auto write = [&](const Row& row, const std::string& value) {
    storage::WriteBatch batch;
    batch.Put(row.family, row.key, value);
    ASSERT_TRUE(test_.store->Write(batch).ok());
  };
  for (const Row& row : rows) {
    for (size_t at = 0; at < row.value.size(); at += 1 + row.value.size() / 40) {
      const auto search = test_.Search("a.weber", "alpha");
      ASSERT_EQ(search.hits.size(), 2u);
      std::string damaged = row.value;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
      write(row, damaged);
      // Found while it was whole; damaged at the moment of release.
      const auto released = test_.Release("a.weber", search);
      ASSERT_TRUE(released.ok());
      const bool read_by_release = row.family != kOriginalsFamily && row.family != kVectorsFamily;
      ASSERT_EQ(released->passages.size(), read_by_release ? 1u : 2u) << row.family << " at " << at;
      for (const ReleasedText& passage : released->passages) {
        if (read_by_release) {
          EXPECT_EQ(passage.text, "alpha good");
        }
      }
      EXPECT_EQ(Counts().unreadable_documents, read_by_release ? 1u : 0u);
      // Damaged when the service starts.
      test_.Reopen();
      const bool read_by_load = row.family != kOriginalsFamily && row.family != kSentenceVectorsFamily;
      EXPECT_EQ(Counts().unreadable_documents, read_by_load ? 1u : 0u) << row.family;
      EXPECT_EQ(test_.Search("a.weber", "alpha").hits.size(), read_by_load ? 1u : 2u);
      write(row, row.value);
      test_.Reopen();
    }
  }
  EXPECT_EQ(Counts().unreadable_documents, 0u);
}

TEST_F(CorpusTest, RowsMovedBetweenDocumentsAreNotServed) {
  const auto a = test_.Put(DocumentOf("ward", "a.md", {"alpha one"}));
  const auto b = test_.Put(DocumentOf("ward", "b.md", {"alpha two"}));
  const auto snapshot = test_.store->GetSnapshot();
  storage::WriteBatch batch;
  for (const auto family : {kTextFamily, kChunksFamily}) {
    batch.Put(family, PartKey(a.info->document, a.info->version, 0),
              *snapshot->Get(family, PartKey(b.info->document, b.info->version, 0)));
  }
  const auto search = test_.Search("a.weber", "alpha");
  ASSERT_TRUE(test_.store->Write(batch).ok());
  const auto released = test_.Release("a.weber", search);
  ASSERT_EQ(released->passages.size(), 1u);
  EXPECT_EQ(released->passages[0].info.source, "b.md");
}

TEST_F(CorpusTest, ADamagedDocumentCanBePutAgain) {
  const auto document = DocumentOf("ward", "a.md", {"alpha"});
  const auto put = test_.Put(document);
  storage::WriteBatch batch;
  batch.Put(kTextFamily, PartKey(put.info->document, put.info->version, 0), "damaged");
  ASSERT_TRUE(test_.store->Write(batch).ok());
  test_.Reopen();
  EXPECT_EQ(Counts().unreadable_documents, 1u);
  EXPECT_FALSE(test_.Put(document).unchanged);
  EXPECT_EQ(Counts().unreadable_documents, 0u);
  EXPECT_EQ(SourcesFor("alpha"), Sources{"a.md"});
}

TEST_F(CorpusTest, DamagedDirectoryRowsDenyAndDoNotStopTheService) {
  test_.Put(DocumentOf("ward", "a.md", {"alpha"}));
  for (const auto family : {kUsersFamily, kClassesFamily}) {
    std::string key, value;
    ASSERT_TRUE(test_.store->GetSnapshot()
                    ->Scan(family, "",
                           [&](std::string_view k, std::string_view v) {
                             key = k, value = v;
                             return false;
                           })
                    .ok());
    storage::WriteBatch damage, repair;
    std::string damaged = value;
    damaged.back() ^= 1;
    damage.Put(family, key, damaged);
    repair.Put(family, key, value);
    const auto search = test_.Search("a.weber", "alpha");
    ASSERT_EQ(search.hits.size(), 1u);
    ASSERT_TRUE(test_.store->Write(damage).ok());
    EXPECT_EQ(test_.Release("a.weber", search)->passages.size(), 0u) << family;
    test_.Reopen();
    EXPECT_EQ(test_.corpus->directory().UnreadableRows(), 1u);
    EXPECT_EQ(test_.Search("a.weber", "alpha").hits.size(), 0u) << family;
    ASSERT_TRUE(test_.store->Write(repair).ok());
    test_.Reopen();
  }
}

}  // namespace
}  // namespace cloister::retrieval
