// SPDX-License-Identifier: Apache-2.0
// For tests of retrieval: a corpus over a real keyring and a store in memory, documents that are easy to
// write down, and a recorder that remembers.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "crypto/random.h"
#include "keyring/keyring.h"
#include "keyring/keyring_key_source.h"
#include "keyring/passphrase_anchor.h"
#include "retrieval/corpus.h"
#include "retrieval/releaser.h"
#include "retrieval/searcher.h"
#include "storage/memory_store.h"

namespace cloister::retrieval {

inline const WallTime kTestTime{std::chrono::sys_days(std::chrono::year(2026) / 11 / 22) +
                                std::chrono::hours(12)};
constexpr uint32_t kTestDimension = 8;

// Removed with all it holds.
class TestDirectory {
 public:
  TestDirectory() {
    char path[] = "/tmp/cloister-retrieval-XXXXXX";
    EXPECT_NE(::mkdtemp(path), nullptr);
    path_ = path;
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class FakeRecorder final : public ReleaseRecorder {
 public:
  StatusOr<uint64_t> Record(const ReleaseRecord& record) override {
    if (before) before();
    if (!failure.ok()) return failure;
    records.push_back(record);
    return records.size();
  }
  StatusOr<uint64_t> RecordReading(const VersionReading& reading) override {
    if (before) before();
    if (!failure.ok()) return failure;
    readings.push_back(reading);
    return readings.size();
  }
  std::vector<ReleaseRecord> records;
  std::vector<VersionReading> readings;
  Status failure;
  std::function<void()> before;  // Runs while the releaser waits for the record.
};

// Everything a service would put together, over a store in memory. Reopen() is a restart.
class TestCorpus {
 public:
  explicit TestCorpus(uint32_t segment_documents = 1'000'000) : segment_documents_(segment_documents) {
    auto keyring = keyring::Keyring::Create(
        {.path = directory_.path() / "keyring"},
        keyring::NewPassphraseAnchor("a passphrase for tests", {.memory_kib = 64, .passes = 1, .lanes = 1}), clock);
    EXPECT_TRUE(keyring.ok()) << MessageOf(keyring.status());
    keyring_ = *std::move(keyring);
    keys = std::make_unique<keyring::KeyringKeySource>(*keyring_, "retrieval");
    store = std::make_unique<storage::MemoryStore>(ColumnFamilies(), crypto::RandomId<DatabaseId>());
    Reopen();
  }

  void Reopen() {
    searcher.reset(), releaser.reset(), contexts.reset(), corpus.reset();
    CorpusOptions options;
    options.segment_directory = SegmentDirectory();
    options.segment_documents = segment_documents_;
    auto opened = Corpus::Open(*store, store->database_id(), *keys, clock, options);
    ASSERT_TRUE(opened.ok()) << MessageOf(opened.status());
    corpus = *std::move(opened);
    contexts = std::make_unique<SearchContexts>(clock);
    searcher = std::make_unique<Searcher>(*corpus, *contexts, clock, "local");
    releaser = std::make_unique<Releaser>(*corpus, *contexts, recorder, clock, "local");
  }

  std::filesystem::path SegmentDirectory() const { return directory_.path() / "segments"; }

  void AddCollection(const std::string& name, std::vector<std::string> groups,
                     std::vector<std::string> users = {}, const std::string& retention = "shred") {
    const auto created = corpus->directory().PutCollection(
        {name, std::move(groups), std::move(users), "internal", false, *ParseRetention(retention)}, "gateway");
    ASSERT_TRUE(created.ok()) << MessageOf(created.status());
  }
  void AddUser(const std::string& name, std::vector<std::string> groups, std::vector<std::string> roles = {}) {
    const Status status = corpus->directory().PutUser({name, std::move(groups), std::move(roles)}, "gateway");
    ASSERT_TRUE(status.ok()) << MessageOf(status);
  }
  DocumentStore::PutResult Put(const NewDocument& document) {
    auto result = corpus->Put(document, "ingest");
    EXPECT_TRUE(result.ok()) << MessageOf(result.status());
    return result.ok() ? *result : DocumentStore::PutResult{};
  }

  policy::Principal PrincipalOf(const std::string& user) const {
    policy::Principal principal;
    principal.tenant = "main";
    principal.user = user;
    principal.not_after_ns = (clock.Now().time_since_epoch() + std::chrono::seconds(60)).count();
    return principal;
  }
  SearchRequest RequestOf(const std::string& user, const std::string& question,
                          uint32_t hits_max = 100) const {
    SearchRequest request;
    request.principal = PrincipalOf(user);
    request.assertion_digest = crypto::RandomBytes(32);
    request.question = question;
    request.hits_max = hits_max;
    request.mode = SearchMode::kLexical;
    return request;
  }
  // A search that must succeed.
  SearchResult Search(const std::string& user, const std::string& question) {
    auto result = searcher->Search(RequestOf(user, question));
    EXPECT_TRUE(result.ok()) << MessageOf(result.status());
    return result.ok() ? *result : SearchResult{};
  }
  StatusOr<ReleaseResult> Release(const std::string& user, const SearchResult& search) {
    ReleaseRequest request;
    request.principal = PrincipalOf(user);
    request.search = search.id;
    for (const SearchHit& hit : search.hits) {
      if (request.handles.size() < kHandlesMax) request.handles.push_back(hit.handle);
    }
    request.ask_id = std::string(kIdBytes, 'a');
    return releaser->Release(request);
  }

  FakeClock clock{kTestTime};
  std::unique_ptr<storage::KeySource> keys;
  std::unique_ptr<storage::MemoryStore> store;
  FakeRecorder recorder;
  std::unique_ptr<Corpus> corpus;
  std::unique_ptr<SearchContexts> contexts;
  std::unique_ptr<Searcher> searcher;
  std::unique_ptr<Releaser> releaser;

 private:
  const uint32_t segment_documents_;
  TestDirectory directory_;
  std::unique_ptr<keyring::Keyring> keyring_;
};

// A unit vector that depends on `seed` alone.
inline std::vector<float> UnitVector(uint32_t seed, uint32_t dimension = kTestDimension) {
  std::vector<float> vector(dimension);
  float norm = 0;
  for (uint32_t i = 0; i < dimension; ++i) {
    seed = seed * 1664525u + 1013904223u;
    vector[i] = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
    norm += vector[i] * vector[i];
  }
  for (float& x : vector) x /= std::max(1e-6f, std::sqrt(norm));
  return vector;
}

// One chunk for each text, one sentence for each chunk, with vectors that depend on the text's length and
// place.
inline NewDocument DocumentOf(const std::string& collection, const std::string& source,
                              const std::vector<std::string>& chunk_texts) {
  NewDocument document;
  document.collection = collection;
  document.source = source;
  document.media_type = "text/plain";
  document.title = "Title";
  document.embedder_sha256 = std::string(64, 'e');
  for (const std::string& text : chunk_texts) {
    NewChunk added;
    added.chunk.start = document.text.size();
    document.text += text;
    added.chunk.end = document.text.size();
    document.text += "\n";
    added.chunk.sentences.push_back({added.chunk.start, added.chunk.end, 0, -1, {}});
    const uint32_t seed = static_cast<uint32_t>(std::hash<std::string>()(text));
    added.vector = UnitVector(seed);
    added.sentence_vectors = UnitVector(seed + 1);
    const auto alone = UnitVector(seed + 2);
    added.sentence_vectors.insert(added.sentence_vectors.end(), alone.begin(), alone.end());
    document.chunks.push_back(std::move(added));
  }
  document.original = document.text;
  return document;
}

// The bytes between "```hex NAME" and the closing fence of a format's document; what follows "#" is comment.
inline std::string HexExample(const std::string& document, const std::string& name) {
  std::ifstream file(std::string(CLOISTER_SOURCE_DIR) + "/docs/formats/" + document);
  EXPECT_TRUE(file.good());
  std::string hex, line;
  bool inside = false;
  while (std::getline(file, line)) {
    if (line.rfind("```", 0) == 0) {
      inside = line == "```hex " + name;
      continue;
    }
    if (!inside) continue;
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;) hex += word;
  }
  const auto bytes = HexDecode(hex);
  EXPECT_TRUE(bytes.ok());
  return bytes.ok() ? *bytes : "";
}

}  // namespace cloister::retrieval
