// SPDX-License-Identifier: Apache-2.0
// How long an erasure takes in a large corpus. Everything in one process: the real corpus over the real encrypted
// database and a real keyring with a passphrase as anchor; audit is stood in for by what it costs the keyring, a second
// change of epoch. See README.md for the method.
//
// erasure_bench DIRECTORY DOCUMENTS ROUNDS
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/file.h"
#include "keyring/keyring.h"
#include "keyring/keyring_key_source.h"
#include "keyring/passphrase_anchor.h"
#include "retrieval/corpus.h"
#include "retrieval/eraser.h"
#include "storage/rocksdb_store.h"

namespace cloister::retrieval {
namespace {

constexpr uint32_t kDimension = 384;
constexpr uint32_t kChunks = 4;
constexpr uint32_t kWordsPerChunk = 120;
constexpr uint32_t kVocabulary = 50'000;

double Seconds(std::chrono::steady_clock::time_point from) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

// What the log costs when an erased document had been quoted: a key of its own that is destroyed with a change of epoch.
class KeyringOnlyAudit final : public ErasureAudit {
 public:
  KeyringOnlyAudit(keyring::Keyring& keyring, Rows& rows) : keyring_(keyring), rows_(rows) {}
  StatusOr<uint64_t> RecordRequested(const ErasureRecord&, std::string_view) override { return ++records_; }
  StatusOr<uint64_t> RecordCompleted(const ErasureRecord&) override { return ++records_; }
  StatusOr<uint64_t> RecordNotice(const ErasureRecord&, std::string_view, std::string_view, std::string_view) override {
    return ++records_;
  }
  StatusOr<Forgotten> Forget(const std::vector<DocumentId>&, const std::string&) override {
    const auto keys = keyring_.CreateKeys("audit", storage::KeyKind::kSubject, 1);
    if (!keys.ok()) return keys.status();
    CLOISTER_RETURN_IF_ERROR(keyring_.DestroyKeys("audit", {keys->front().id}, storage::DestroyFor::kErasure).status());
    return Forgotten{1, 1};
  }
  Status DeliverEvents() override {
    return rows_.DeliverEvents([](const Event&) { return absl::OkStatus(); });
  }
  StatusOr<Releases> CountReleases(const std::vector<DocumentId>&) override { return Releases{}; }

 private:
  keyring::Keyring& keyring_;
  Rows& rows_;
  uint64_t records_ = 0;
};

NewDocument RandomDocument(std::mt19937& random, uint32_t number) {
  NewDocument document;
  document.collection = "bench";
  document.origin = "/bench";
  document.source = "document-" + std::to_string(number) + ".txt";
  document.media_type = "text/plain";
  document.title = "Document " + std::to_string(number);
  document.embedder_sha256 = std::string(64, 'e');
  std::normal_distribution<float> normal;
  for (uint32_t c = 0; c < kChunks; ++c) {
    NewChunk added;
    added.chunk.start = document.text.size();
    for (uint32_t w = 0; w < kWordsPerChunk; ++w) {
      // Few words are frequent and most are rare, about as in text.
      const double u = std::uniform_real_distribution<double>(0, 1)(random);
      document.text += "w" + std::to_string(static_cast<uint32_t>(kVocabulary * std::pow(u, 4))) + " ";
    }
    added.chunk.end = document.text.size();
    added.chunk.sentences.push_back({added.chunk.start, added.chunk.end, 0, -1, {}});
    added.vector.resize(kDimension);
    float norm = 0;
    for (float& x : added.vector) {
      x = normal(random);
      norm += x * x;
    }
    for (float& x : added.vector) x /= std::sqrt(norm);
    added.sentence_vectors = added.vector;
    added.sentence_vectors.insert(added.sentence_vectors.end(), added.vector.begin(), added.vector.end());
    document.chunks.push_back(std::move(added));
  }
  document.original = document.text;
  return document;
}

Status Run(const std::filesystem::path& directory, uint32_t documents, uint32_t rounds) {
  const SystemClock clock;
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(directory / "keys"));
  CLOISTER_ASSIGN_OR_RETURN(const auto keyring,
                            keyring::Keyring::Create({.path = directory / "keys" / "keyring"},
                                                     keyring::NewPassphraseAnchor("a passphrase of the bench"), clock));
  keyring::KeyringKeySource keys(*keyring, "retrieval");
  storage::RocksDbStoreOptions store_options;
  store_options.directory = directory / "db";
  store_options.column_families = ColumnFamilies();
  store_options.keys = &keys;
  CLOISTER_ASSIGN_OR_RETURN(const auto store, storage::RocksDbStore::Open(store_options));
  CorpusOptions options;
  options.segment_directory = directory / "segments";
  CLOISTER_ASSIGN_OR_RETURN(const auto corpus, Corpus::Open(*store, store->database_id(), keys, clock, options));
  CLOISTER_RETURN_IF_ERROR(
      corpus->directory().PutCollection({"bench", {"staff"}, {}, "internal", false}, "gateway").status());
  KeyringOnlyAudit audit(*keyring, corpus->rows());
  CLOISTER_ASSIGN_OR_RETURN(const auto eraser, Eraser::Open(*corpus, audit, clock));

  std::mt19937 random(20261122);
  const auto filling = std::chrono::steady_clock::now();
  for (uint32_t i = 0; i < documents; ++i) {
    CLOISTER_RETURN_IF_ERROR(corpus->Put(RandomDocument(random, i), "ingest").status());
    // There is no audit service here, and more undelivered events than a bound refuse further changes.
    if (i % 1'000 == 0) {
      CLOISTER_RETURN_IF_ERROR(corpus->rows().DeliverEvents([](const Event&) { return absl::OkStatus(); }));
    }
  }
  std::printf("filled %u documents, %u chunks, %zu keys in %.1f s\n", documents, documents * kChunks, keyring->size(),
              Seconds(filling));
  std::vector<double> unsearchable, completed;
  for (uint32_t round = 0; round < rounds; ++round) {
    const uint32_t number = (round * 7919u + documents / 2) % documents;
    ErasureTarget target;
    target.document = {"bench", "/bench", "document-" + std::to_string(number) + ".txt"};
    const auto begin = std::chrono::steady_clock::now();
    const auto record = eraser->Erase(target, "erasure benchmark", "other", "bench");
    if (!record.ok()) return record.status();
    completed.push_back(Seconds(begin));
    unsearchable.push_back(static_cast<double>(record->unsearchable_at_ns - record->requested_at_ns) / 1e9);
    std::printf("round %u: unsearchable after %.3f s, completed after %.3f s (%llu rows, %u segments, %llu keys)\n",
                round + 1, unsearchable.back(), completed.back(), static_cast<unsigned long long>(record->rows),
                record->segments, static_cast<unsigned long long>(record->keys));
  }
  for (auto* values : {&unsearchable, &completed}) std::sort(values->begin(), values->end());
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("documents %u, rounds %u: unsearchable median %.3f s, worst %.3f s; completed median %.3f s, worst %.3f s; "
              "resident %.1f GB\n",
              documents, rounds, unsearchable[rounds / 2], unsearchable.back(), completed[rounds / 2],
              completed.back(), static_cast<double>(usage.ru_maxrss) / 1048576.0);
  return absl::OkStatus();
}

}  // namespace
}  // namespace cloister::retrieval

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: erasure_bench DIRECTORY DOCUMENTS ROUNDS\n");
    return 2;
  }
  const auto status =
      cloister::retrieval::Run(argv[1], static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10)),
                               static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10)));
  if (!status.ok()) std::fprintf(stderr, "erasure_bench: %s\n", cloister::MessageOf(status).c_str());
  return status.ok() ? 0 : 1;
}
