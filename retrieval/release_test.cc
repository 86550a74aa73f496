// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "retrieval/dot_product.h"
#include "retrieval/releaser.h"
#include "retrieval/test_support.h"

namespace cloister::retrieval {
namespace {

class ReleaseTest : public testing::Test {
 protected:
  ReleaseTest() {
    test_.AddCollection("ward", {"nurses"});
    test_.AddCollection("board", {"directors"}, {"b.kern"});
    test_.AddUser("a.weber", {"nurses"});
    test_.AddUser("b.kern", {});
    test_.AddUser("c.lang", {"directors", "nurses"});
    auto document = DocumentOf("ward", "dose.md", {"The insulin dose is four units."});
    document.subjects = {"patient-2", "patient-1"};
    test_.Put(document);
    test_.Put(DocumentOf("board", "plan.md", {"The insulin plan is secret."}));
  }
  size_t HitCount(const std::string& user) { return test_.Search(user, "insulin").hits.size(); }
  size_t Released(const std::string& user, const SearchResult& search) {
    const auto result = test_.Release(user, search);
    EXPECT_TRUE(result.ok()) << MessageOf(result.status());
    EXPECT_EQ(result->passages.size() + result->withheld, search.hits.size());
    return result->passages.size();
  }

  TestCorpus test_;
};

// Searching.

TEST_F(ReleaseTest, SearchStaysInsideThePermittedSet) {
  EXPECT_EQ(HitCount("a.weber"), 1u);
  EXPECT_EQ(HitCount("b.kern"), 1u);  // Named as a reader, in no group.
  EXPECT_EQ(HitCount("c.lang"), 2u);
  EXPECT_EQ(HitCount("nobody"), 0u);
}

TEST_F(ReleaseTest, AssertedGroupsAreNotBelieved) {
  auto request = test_.RequestOf("a.weber", "insulin");
  request.principal.groups = {"directors", "nurses"};
  EXPECT_EQ(test_.searcher->Search(request)->hits.size(), 1u);
  request.principal.user = "nobody";
  request.assertion_digest = crypto::RandomBytes(32);
  EXPECT_EQ(test_.searcher->Search(request)->hits.size(), 0u);
}

TEST_F(ReleaseTest, AReaderWhoIsNotInTheDirectorySeesNothing) {
  ASSERT_TRUE(*test_.corpus->directory().DeleteUser("b.kern", "gateway"));
  EXPECT_EQ(HitCount("b.kern"), 0u);
}

TEST_F(ReleaseTest, ForbiddenAndAbsentCollectionsLookAlike) {
  for (const char* collection : {"board", "absent"}) {
    auto request = test_.RequestOf("a.weber", "insulin");
    request.collection = collection;
    const auto result = test_.searcher->Search(request);
    ASSERT_TRUE(result.ok());
    EXPECT_TRUE(result->hits.empty());
  }
  auto request = test_.RequestOf("c.lang", "insulin");
  request.collection = "ward";
  EXPECT_EQ(test_.searcher->Search(request)->hits.size(), 1u);
}

TEST_F(ReleaseTest, SearchRefusesWhatBreaksALimit) {
  const auto code = [&](const std::function<void(SearchRequest&)>& change) {
    auto request = test_.RequestOf("a.weber", "insulin");
    change(request);
    return test_.searcher->Search(request).status().code();
  };
  EXPECT_EQ(code([](auto& r) { r.question = std::string(kQuestionBytesMax, 'x'); }), StatusCode::kOk);
  EXPECT_EQ(code([](auto& r) { r.question = std::string(kQuestionBytesMax + 1, 'x'); }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) { r.question = "\xC3"; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) { r.hits_max = kHitsMax + 1; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) { r.mode = SearchMode::kDense; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) {
              r.mode = SearchMode::kDense;
              r.question_vector = UnitVector(1, 3);
            }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) { r.question_vector = {std::nanf("")}; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([&](auto& r) { r.principal.not_after_ns = test_.clock.Now().time_since_epoch().count(); }),
            StatusCode::kUnauthenticated);
}

TEST_F(ReleaseTest, RanksCountFromOneAndHitsAreCapped) {
  for (int i = 0; i < 20; ++i)
    test_.Put(DocumentOf("ward", "n" + std::to_string(i), {"insulin " + std::to_string(i)}));
  auto request = test_.RequestOf("a.weber", "insulin", 0);
  const auto result = test_.searcher->Search(request);
  ASSERT_EQ(result->hits.size(), kHitsDefault);
  for (uint32_t i = 0; i < result->hits.size(); ++i) EXPECT_EQ(result->hits[i].rank, i + 1);
}

TEST_F(ReleaseTest, DenseSearchFindsByVector) {
  auto request = test_.RequestOf("c.lang", "zebra");
  request.mode = SearchMode::kHybrid;
  request.question_vector =
      UnitVector(static_cast<uint32_t>(std::hash<std::string>()("The insulin plan is secret.")));
  const auto result = test_.searcher->Search(request);
  ASSERT_EQ(result->hits.size(), 2u);
  EXPECT_EQ(result->hits[0].source, "plan.md");
  request.principal.user = "a.weber";  // What is nearest is forbidden, and leaves no trace.
  request.assertion_digest = crypto::RandomBytes(32);
  const auto limited = test_.searcher->Search(request);
  ASSERT_EQ(limited->hits.size(), 1u);
  EXPECT_EQ(limited->hits[0].source, "dose.md");
}

TEST_F(ReleaseTest, HybridSearchPutsThePassageWithTheNearestSentenceFirst) {
  auto near = DocumentOf("ward", "near.md", {"zebra one"}), far = DocumentOf("ward", "far.md", {"zebra two"});
  const auto question = UnitVector(77);
  near.chunks[0].vector = far.chunks[0].vector = UnitVector(78);
  near.chunks[0].sentence_vectors = question;
  near.chunks[0].sentence_vectors.insert(near.chunks[0].sentence_vectors.end(), question.begin(), question.end());
  test_.Put(far), test_.Put(near);
  auto request = test_.RequestOf("a.weber", "zebra", 1);
  request.mode = SearchMode::kHybrid;
  request.question_vector = question;
  const auto result = test_.searcher->Search(request);
  ASSERT_EQ(result->hits.size(), 1u);
  EXPECT_EQ(result->hits[0].source, "near.md");
}

TEST_F(ReleaseTest, CachedDecisionsEndWithPolicyDirectoryAndAssertion) {
  auto request = test_.RequestOf("a.weber", "insulin");
  const auto hits = [&] { return test_.searcher->Search(request)->hits.size(); };
  EXPECT_EQ(hits(), 1u);
  test_.AddCollection("ward", {"doctors"});
  EXPECT_EQ(hits(), 0u);
  test_.AddUser("a.weber", {"doctors"});
  EXPECT_EQ(hits(), 1u);
  test_.Put(DocumentOf("ward", "more.md", {"insulin more"}));
  EXPECT_EQ(hits(), 2u);
  test_.clock.Advance(std::chrono::seconds(60));
  EXPECT_EQ(test_.searcher->Search(request).status().code(), StatusCode::kUnauthenticated);
}

// Releasing.

TEST_F(ReleaseTest, TextComesWithItsRecord) {
  const auto search = test_.Search("a.weber", "insulin dose");
  const auto result = test_.Release("a.weber", search);
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->passages.size(), 1u);
  const ReleasedText& passage = result->passages[0];
  EXPECT_EQ(passage.text, "The insulin dose is four units.");
  EXPECT_EQ(passage.rank, 1u);
  EXPECT_GT(passage.lexical, 0);
  ASSERT_EQ(passage.signals.size(), 1u);
  EXPECT_GT(passage.signals[0].lexical, 0);
  ASSERT_EQ(test_.recorder.records.size(), 1u);
  EXPECT_EQ(result->audit_index, 1u);
  const ReleaseRecord& record = test_.recorder.records[0];
  ASSERT_EQ(record.passages.size(), 1u);
  EXPECT_EQ(record.passages[0].chunk, passage.chunk.id);
  EXPECT_EQ(record.passages[0].document, passage.info.document);
  EXPECT_EQ(record.passages[0].version, passage.info.version);
  EXPECT_EQ(record.passages[0].access_class, passage.info.access_class);
  EXPECT_EQ(record.passages[0].policy, "reader-group");
  EXPECT_EQ(record.subjects, (std::vector<std::string>{"patient-1", "patient-2"}));
  EXPECT_EQ(record.principal.user, "a.weber");
  EXPECT_EQ(record.principal.groups, std::vector<std::string>{"nurses"});
  EXPECT_EQ(record.node_region, "local");
  EXPECT_EQ(record.ask_id, std::string(kIdBytes, 'a'));
  EXPECT_FALSE(record.policy_version.empty());
}

TEST_F(ReleaseTest, SentenceSignalsAreCosines) {
  auto request = test_.RequestOf("a.weber", "insulin");
  request.mode = SearchMode::kHybrid;
  request.question_vector = UnitVector(77);
  const auto search = test_.searcher->Search(request);
  const auto result = test_.Release("a.weber", *search);
  ASSERT_EQ(result->passages.size(), 1u);
  const uint32_t seed = static_cast<uint32_t>(std::hash<std::string>()("The insulin dose is four units."));
  const auto cosine = [&](uint32_t s) {
    return DotProduct(request.question_vector.data(), UnitVector(s).data(), kTestDimension);
  };
  EXPECT_NEAR(result->passages[0].dense, cosine(seed), 1e-5);
  EXPECT_NEAR(result->passages[0].signals[0].dense_context, cosine(seed + 1), 1e-5);
  EXPECT_NEAR(result->passages[0].signals[0].dense_alone, cosine(seed + 2), 1e-5);
}

TEST_F(ReleaseTest, NothingIsReturnedWithoutARecord) {
  const auto search = test_.Search("a.weber", "insulin");
  test_.recorder.failure = Unavailable("audit is down");
  const auto result = test_.Release("a.weber", search);
  EXPECT_EQ(result.status().code(), StatusCode::kUnavailable);
  test_.recorder.failure = Status();
  EXPECT_EQ(Released("a.weber", search), 1u);
}

TEST_F(ReleaseTest, AReleaseOfNothingIsRecordedToo) {
  auto search = test_.Search("a.weber", "insulin");
  search.hits[0].handle = crypto::RandomId<Handle>();
  EXPECT_EQ(Released("a.weber", search), 0u);
  ASSERT_EQ(test_.recorder.records.size(), 1u);
  EXPECT_TRUE(test_.recorder.records[0].passages.empty());
  EXPECT_EQ(test_.recorder.records[0].withheld, 1u);
}

// Unknown, expired, somebody else's, revoked and replaced handles all answer the same.
TEST_F(ReleaseTest, HandlesThatGiveNothingAreNotToldApart) {
  const auto search = test_.Search("a.weber", "insulin");
  ASSERT_EQ(search.hits.size(), 1u);
  const auto expect_uniform = [&](const std::string& user, const SearchResult& from) {
    const auto result = test_.Release(user, from);
    ASSERT_TRUE(result.ok());
    EXPECT_TRUE(result->passages.empty());
    EXPECT_EQ(result->withheld, 1u);
  };
  auto unknown = search;
  unknown.hits[0].handle = crypto::RandomId<Handle>();
  expect_uniform("a.weber", unknown);
  auto other_search = search;
  other_search.id = crypto::RandomId<SearchId>();
  expect_uniform("a.weber", other_search);
  expect_uniform("c.lang", search);  // May read the document, and did not search.
  test_.AddCollection("ward", {"doctors"});
  expect_uniform("a.weber", search);
  test_.AddCollection("ward", {"nurses"});
  EXPECT_EQ(Released("a.weber", search), 1u);
  test_.clock.Advance(kHandleLifetime);
  expect_uniform("a.weber", search);
  const auto again = test_.Search("a.weber", "insulin");
  test_.Put(DocumentOf("ward", "dose.md", {"The insulin dose has changed."}));
  expect_uniform("a.weber", again);
  const auto deleted = test_.Search("a.weber", "insulin");
  ASSERT_TRUE(*test_.corpus->Delete({"ward", "", "dose.md"}, "ingest"));
  expect_uniform("a.weber", deleted);
}

TEST_F(ReleaseTest, AHandleIsReleasedOnceInARequest) {
  auto search = test_.Search("a.weber", "insulin");
  search.hits.push_back(search.hits[0]);
  EXPECT_EQ(Released("a.weber", search), 1u);
}

TEST_F(ReleaseTest, RefusesTooManyHandlesAndEndedAssertions) {
  ReleaseRequest request;
  request.principal = test_.PrincipalOf("a.weber");
  request.handles.resize(kHandlesMax + 1);
  EXPECT_EQ(test_.releaser->Release(request).status().code(), StatusCode::kInvalidArgument);
  request.handles.clear();
  request.principal.not_after_ns = test_.clock.Now().time_since_epoch().count();
  EXPECT_EQ(test_.releaser->Release(request).status().code(), StatusCode::kUnauthenticated);
}

TEST_F(ReleaseTest, PassagesBeyondTheSubjectsOfOneRecordAreWithheld) {
  for (int i = 0; i < 3; ++i) {
    auto document = DocumentOf("ward", "s" + std::to_string(i), {"crowd " + std::to_string(i)});
    for (size_t s = 0; s < 100; ++s)
      document.subjects.push_back("p" + std::to_string(100 * static_cast<size_t>(i) + s));
    test_.Put(document);
  }
  EXPECT_EQ(Released("a.weber", test_.Search("a.weber", "crowd")), 2u);
  EXPECT_EQ(test_.recorder.records.back().subjects.size(), 200u);
}

TEST_F(ReleaseTest, RevocationBetweenSearchAndReleaseHolds) {
  const auto search = test_.Search("a.weber", "insulin");
  test_.AddUser("a.weber", {"cleaners"});
  EXPECT_EQ(Released("a.weber", search), 0u);
  test_.AddUser("a.weber", {"nurses"});
  EXPECT_EQ(Released("a.weber", search), 1u);
  ASSERT_TRUE(*test_.corpus->directory().DeleteUser("a.weber", "gateway"));
  EXPECT_EQ(Released("a.weber", search), 0u);
}

TEST_F(ReleaseTest, ARevocationDuringTheRecordDoesNotMixMoments) {
  const auto search = test_.Search("a.weber", "insulin");
  test_.recorder.before = [&] {
    test_.recorder.before = nullptr;
    test_.AddCollection("ward", {"doctors"});
    test_.Put(DocumentOf("ward", "dose.md", {"Another text."}));
  };
  const auto result = test_.Release("a.weber", search);
  // Decided, read and recorded at the moment before: one consistent answer, and nothing afterwards.
  ASSERT_EQ(result->passages.size(), 1u);
  EXPECT_EQ(result->passages[0].text, "The insulin dose is four units.");
  EXPECT_EQ(test_.recorder.records[0].passages[0].version, result->passages[0].info.version);
  EXPECT_EQ(Released("a.weber", search), 0u);
}

// One thread revokes and grants, others search and release. What a release returns was permitted at some
// moment between its begin and its end; a release that begins after a revocation returned gives nothing.
TEST_F(ReleaseTest, InterleavedRevocationNeverLeaks) {
  std::atomic<uint64_t> epoch = 0;  // Odd: revoked, and known to be.
  std::atomic<bool> stop = false;
  std::atomic<int> leaks = 0, released = 0, refused = 0;
  test_.recorder.before = nullptr;
  struct SilentRecorder final : ReleaseRecorder {
    StatusOr<uint64_t> Record(const ReleaseRecord&) override { return 1; }
    StatusOr<uint64_t> RecordReading(const VersionReading&) override { return 1; }
  } silent;
  Releaser releaser(*test_.corpus, *test_.contexts, silent, test_.clock, "local");
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      while (!stop) {
        const uint64_t before_search = epoch;
        const auto search = test_.searcher->Search(test_.RequestOf("a.weber", "insulin"));
        if (before_search % 2 == 1 && epoch == before_search && !search->hits.empty()) ++leaks;
        ReleaseRequest request;
        request.principal = test_.PrincipalOf("a.weber");
        request.search = search->id;
        for (const SearchHit& hit : search->hits) request.handles.push_back(hit.handle);
        const uint64_t before_release = epoch;
        const auto result = releaser.Release(request);
        if (before_release % 2 == 1 && epoch == before_release && !result->passages.empty()) ++leaks;
        (result->passages.empty() ? refused : released) += 1;
      }
    });
  }
  for (int round = 0; round < 300; ++round) {
    if (round % 2 == 0) {
      test_.AddCollection("ward", {"doctors"});
    } else {
      test_.AddUser("a.weber", {"cleaners"});
    }
    ++epoch;
    std::this_thread::yield();
    ++epoch;
    test_.AddCollection("ward", {"nurses"});
    test_.AddUser("a.weber", {"nurses"});
    std::this_thread::yield();
  }
  while (released == 0) std::this_thread::yield();  // Granted now: a release must come through.
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(leaks, 0);
}

TEST(SearchContextsTest, ForgetsTheOldestBeyondItsLimits) {
  FakeClock clock(kTestTime);
  SearchContexts contexts(clock);
  const auto context = [](size_t hits) {
    SearchContext made;
    made.tenant = "main", made.user = "a";
    for (size_t i = 0; i < hits; ++i) made.hits.emplace(crypto::RandomId<Handle>(), ContextHit{});
    return made;
  };
  const SearchId first = contexts.Add(context(1));
  EXPECT_NE(contexts.Find(first, "main", "a"), nullptr);
  EXPECT_EQ(contexts.Find(first, "main", "b"), nullptr);
  EXPECT_EQ(contexts.Find(first, "other", "a"), nullptr);
  for (size_t i = 0; i < kContextsMax; ++i) contexts.Add(context(0));
  EXPECT_EQ(contexts.Find(first, "main", "a"), nullptr);
  const SearchId second = contexts.Add(context(1));
  clock.Advance(kHandleLifetime - std::chrono::nanoseconds(1));
  EXPECT_NE(contexts.Find(second, "main", "a"), nullptr);
  clock.Advance(std::chrono::nanoseconds(1));
  EXPECT_EQ(contexts.Find(second, "main", "a"), nullptr);
}

}  // namespace
}  // namespace cloister::retrieval
