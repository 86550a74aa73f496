// SPDX-License-Identifier: Apache-2.0
// Differential trials: random users, groups, collections and documents that change all the time, against an
// oracle that knows nothing of classes, bitmaps, caches or segments. CLOISTER_ACCESS_TRIALS sets how many
// (20,000), CLOISTER_ACCESS_SEED repeats a run.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "retrieval/test_support.h"

namespace cloister::retrieval {
namespace {

// What is true, as plainly as it can be said.
struct Oracle {
  struct Readers {
    std::set<std::string> groups, users;
  };
  struct Document {
    std::string text, collection, source;
  };
  std::map<std::string, std::set<std::string>> users;  // To groups.
  std::map<std::string, Readers> collections;
  std::map<std::pair<std::string, std::string>, Document> documents;

  bool MayRead(const std::string& user, const std::string& collection) const {
    const auto known = users.find(user);
    if (known == users.end()) return false;
    const Readers& readers = collections.at(collection);
    if (readers.users.contains(user)) return true;
    for (const std::string& group : known->second) {
      if (readers.groups.contains(group)) return true;
    }
    return false;
  }
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed), test_(5) {
    for (int i = 0; i < 4; ++i) ChangeCollection(i);
    for (int i = 0; i < 5; ++i) ChangeUser(i);
    for (int i = 0; i < 25; ++i) PutDocument();
  }

  void Trial() {
    if (Roll(4) == 0) Change();
    if (Roll(200) == 0) test_.Reopen();
    const std::string user = "user" + std::to_string(Roll(6));  // One of them never exists.
    auto request = test_.RequestOf(user, Word() + " " + Word(), 1'000);
    request.principal.groups = {"group0", "group1", "group2", "group3"};  // Claimed by a liar.
    const uint32_t mode = Roll(3);
    request.mode = mode == 0 ? SearchMode::kLexical : mode == 1 ? SearchMode::kDense : SearchMode::kHybrid;
    if (mode != 0) request.question_vector = UnitVector(Roll(1'000'000));
    if (Roll(4) == 0) request.collection = "collection" + std::to_string(Roll(5));
    const auto search = test_.searcher->Search(request);
    ASSERT_TRUE(search.ok()) << MessageOf(search.status());
    CheckSearch(user, request, *search);
    std::map<Handle, Oracle::Document> seen;
    for (const SearchHit& hit : search->hits)
      seen[hit.handle] = oracle_.documents.at({hit.collection, hit.source});
    if (Roll(3) == 0) Change();
    CheckRelease(user, *search, seen);
  }

  size_t released = 0, withheld = 0;

 private:
  uint32_t Roll(uint32_t sides) { return static_cast<uint32_t>(random_() % sides); }
  std::string Word() { return "word" + std::to_string(Roll(12)); }
  std::vector<std::string> SomeOf(const std::string& prefix, uint32_t count, uint32_t one_in) {
    std::vector<std::string> names;
    for (uint32_t i = 0; i < count; ++i) {
      if (Roll(one_in) == 0) names.push_back(prefix + std::to_string(i));
    }
    return names;
  }

  void ChangeUser(uint32_t i) {
    const std::string name = "user" + std::to_string(i);
    if (Roll(5) == 0) {
      EXPECT_EQ(*test_.corpus->directory().DeleteUser(name, "gateway"), oracle_.users.erase(name) == 1);
      return;
    }
    const auto groups = SomeOf("group", 4, 3);
    test_.AddUser(name, groups);
    oracle_.users[name] = {groups.begin(), groups.end()};
  }
  void ChangeCollection(uint32_t i) {
    const std::string name = "collection" + std::to_string(i);
    const auto groups = SomeOf("group", 4, 4), users = SomeOf("user", 6, 6);
    test_.AddCollection(name, groups, users);
    oracle_.collections[name] = {{groups.begin(), groups.end()}, {users.begin(), users.end()}};
  }
  void PutDocument() {
    const std::string collection = "collection" + std::to_string(Roll(4)),
                      source = "source" + std::to_string(Roll(12));
    const std::string text = Word() + " " + Word() + " " + std::to_string(Roll(1'000'000));
    auto document = DocumentOf(collection, source, {text});
    document.classification = Roll(3) == 0 ? "other" : "";
    test_.Put(document);
    oracle_.documents[{collection, source}] = {text, collection, source};
  }
  void Change() {
    switch (Roll(6)) {
      case 0:
        return ChangeUser(Roll(5));
      case 1:
        return ChangeCollection(Roll(4));
      case 2: {
        const std::string collection = "collection" + std::to_string(Roll(4)),
                          source = "source" + std::to_string(Roll(12));
        EXPECT_EQ(*test_.corpus->Delete({collection, "", source}, "ingest"),
                  oracle_.documents.erase({collection, source}) == 1);
        return;
      }
      default:
        return PutDocument();
    }
  }

  // Exactly the documents that the oracle permits and that match: nothing forbidden, and nothing missing.
  void CheckSearch(const std::string& user, const SearchRequest& request, const SearchResult& search) {
    std::set<std::pair<std::string, std::string>> expected, found;
    for (const auto& [key, document] : oracle_.documents) {
      if (!oracle_.MayRead(user, document.collection)) continue;
      if (!request.collection.empty() && document.collection != request.collection) continue;
      const std::string padded = document.text + " ",
                        first = request.question.substr(0, request.question.find(' ') + 1);
      const bool matches =
          padded.find(first) != std::string::npos ||
          padded.find(request.question.substr(request.question.find(' ') + 1) + " ") != std::string::npos;
      if (request.mode != SearchMode::kLexical || matches) expected.insert(key);
    }
    for (const SearchHit& hit : search.hits) found.insert({hit.collection, hit.source});
    ASSERT_EQ(found, expected);
    ASSERT_EQ(found.size(), search.hits.size());
  }

  void CheckRelease(const std::string& user, const SearchResult& search,
                    const std::map<Handle, Oracle::Document>& seen) {
    ReleaseRequest request;
    request.principal = test_.PrincipalOf(user);
    request.search = search.id;
    for (const SearchHit& hit : search.hits) {
      if (request.handles.size() < 6) request.handles.push_back(hit.handle);
    }
    request.handles.push_back(crypto::RandomId<Handle>());
    const auto result = test_.releaser->Release(request);
    ASSERT_TRUE(result.ok()) << MessageOf(result.status());
    std::map<Handle, std::string> expected, got;
    for (const Handle& handle : request.handles) {
      const auto found = seen.find(handle);
      if (found == seen.end()) continue;
      const Oracle::Document& then = found->second;
      const auto now = oracle_.documents.find({then.collection, then.source});
      if (now == oracle_.documents.end() || now->second.text != then.text) continue;
      if (oracle_.MayRead(user, then.collection)) expected[handle] = then.text;
    }
    for (const ReleasedText& passage : result->passages) got[passage.handle] = passage.text;
    ASSERT_EQ(got, expected);
    ASSERT_EQ(result->withheld, request.handles.size() - expected.size());
    ASSERT_EQ(test_.recorder.records.back().passages.size(), expected.size());
    released += expected.size();
    withheld += result->withheld;
  }

  std::mt19937_64 random_;
  Oracle oracle_;
  TestCorpus test_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(AccessTrialsTest, NothingLeaksAndNothingIsMissing) {
  const uint64_t trials = FromEnvironment("CLOISTER_ACCESS_TRIALS", 20'000);
  const uint64_t seed = FromEnvironment("CLOISTER_ACCESS_SEED", std::random_device()());
  std::printf("trials %llu, seed %llu\n", static_cast<unsigned long long>(trials),
              static_cast<unsigned long long>(seed));
  constexpr uint64_t kTrialsPerWorld = 500;
  size_t released = 0, withheld = 0;
  for (uint64_t done = 0, world = 0; done < trials; ++world) {
    World trial_world(seed + world);
    for (uint64_t i = 0; i < kTrialsPerWorld && done < trials; ++i, ++done) {
      trial_world.Trial();
      if (testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << ", trial " << done;
    }
    released += trial_world.released;
    withheld += trial_world.withheld;
  }
  // The trials must have exercised both answers.
  EXPECT_GT(released, trials / 4);
  EXPECT_GT(withheld, trials);
}

}  // namespace
}  // namespace cloister::retrieval
