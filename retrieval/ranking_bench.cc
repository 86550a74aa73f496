// SPDX-License-Identifier: Apache-2.0
// Ranking quality and speed of the index alone, over a folder in BEIR layout and, optionally, vectors made
// elsewhere:
//   ranking_bench DIRECTORY QUESTIONS.jsonl QRELS.tsv [CORPUS.f32 QUESTIONS.f32 DIMENSION] [--k1 X --b X
//   --stop 0|1]
// Prints one JSON object. The whole path through the services is measured by bench/quality.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "common/file.h"
#include "crypto/random.h"
#include "retrieval/analyzer.h"
#include "retrieval/index.h"
#include "retrieval/ranking_measure.h"

namespace cloister::retrieval {
namespace {

using Seconds = std::chrono::duration<double>;

std::vector<float> ReadFloats(const std::string& path) {
  const auto bytes = ReadFile(path, size_t{4} << 30);
  std::vector<float> floats(bytes.ok() ? bytes->size() / sizeof(float) : 0);
  if (!floats.empty()) std::memcpy(floats.data(), bytes->data(), floats.size() * sizeof(float));
  return floats;
}

struct Setup {
  std::string directory, questions, qrels, corpus_vectors, question_vectors;
  uint32_t dimension = 0;
  Bm25Parameters parameters;
  bool leave_out_function_words = true;
};

nlohmann::json Measure(const Setup& setup) {
  const Dataset data = ReadBeir(setup.directory, setup.questions, setup.qrels);
  const auto corpus_vectors = ReadFloats(setup.corpus_vectors),
             question_vectors = ReadFloats(setup.question_vectors);
  const bool dense = setup.dimension != 0 && corpus_vectors.size() == data.documents.size() * setup.dimension;
  const auto analyzer = Analyzer::New();
  Index index(setup.parameters);
  const ClassId access_class = crypto::RandomId<ClassId>();
  std::vector<DocumentId> ids;
  const auto started = std::chrono::steady_clock::now();
  for (size_t i = 0; i < data.documents.size(); ++i) {
    DocumentInfo info;
    info.document = crypto::RandomId<DocumentId>();
    info.dimension = dense ? setup.dimension : 0;
    DocumentStore::ForIndex content;
    content.chunks.push_back({data.documents[i], 1});
    if (dense) {
      const auto first = corpus_vectors.begin() + static_cast<ptrdiff_t>(i * setup.dimension);
      content.vectors.assign(first, first + setup.dimension);
    }
    ids.push_back(info.document);
    CLOISTER_CHECK(index.Append(SliceOf(info, std::move(content), **analyzer), {access_class}).ok());
  }
  nlohmann::json out = {{"documents", data.documents.size()},
                        {"questions", data.judgements.size()},
                        {"index_seconds", Seconds(std::chrono::steady_clock::now() - started).count()}};
  std::unordered_map<DocumentId, size_t> place;
  for (size_t i = 0; i < ids.size(); ++i) place[ids[i]] = i;
  const ChunkSet all = index.ChunksOfClass(access_class);
  const std::vector<std::pair<const char*, SearchMode>> modes = {
      {"bm25", SearchMode::kLexical}, {"dense", SearchMode::kDense}, {"hybrid", SearchMode::kHybrid}};
  for (const auto& [name, mode] : modes) {
    if (!dense && mode != SearchMode::kLexical) continue;
    double ndcg = 0, recall = 0, seconds = 0, asked = 0;
    for (size_t q = 0; q < data.questions.size(); ++q) {
      const auto grades = data.judgements.find(data.question_ids[q]);
      if (grades == data.judgements.end()) continue;
      Question question;
      question.mode = mode;
      const auto start = std::chrono::steady_clock::now();
      question.terms = setup.leave_out_function_words ? (*analyzer)->QuestionTerms(data.questions[q])
                                                      : (*analyzer)->Terms(data.questions[q]);
      if (dense) {
        const auto first = question_vectors.begin() + static_cast<ptrdiff_t>(q * setup.dimension);
        question.vector.assign(first, first + setup.dimension);
      }
      const auto hits = index.Search(question, all, 100);
      seconds += Seconds(std::chrono::steady_clock::now() - start).count();
      std::vector<std::string> ranked;
      for (const FusedHit& hit : *hits)
        ranked.push_back(data.document_ids[place.at(index.Locate(hit.chunk).document)]);
      ndcg += NdcgAt(10, ranked, grades->second);
      recall += RecallAt(100, ranked, grades->second);
      ++asked;
    }
    out[name] = {{"ndcg_at_10", ndcg / asked},
                 {"recall_at_100", recall / asked},
                 {"search_ms_mean", 1e3 * seconds / asked}};
  }
  return out;
}

}  // namespace
}  // namespace cloister::retrieval

int main(int argc, char** argv) {
  cloister::retrieval::Setup setup;
  std::vector<std::string> plain;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.rfind("--", 0) != 0 || i + 1 == argc) {
      plain.push_back(word);
      continue;
    }
    const double value = std::stod(argv[++i]);
    if (word == "--k1") setup.parameters.k1 = value;
    if (word == "--b") setup.parameters.b = value;
    if (word == "--stop") setup.leave_out_function_words = value != 0;
  }
  if (plain.size() != 3 && plain.size() != 6) {
    std::fprintf(stderr,
                 "usage: ranking_bench DIRECTORY QUESTIONS QRELS [CORPUS.f32 QUESTIONS.f32 DIMENSION]\n");
    return 2;
  }
  setup.directory = plain[0], setup.questions = plain[1], setup.qrels = plain[2];
  if (plain.size() == 6) {
    setup.corpus_vectors = plain[3], setup.question_vectors = plain[4];
    setup.dimension = static_cast<uint32_t>(std::stoul(plain[5]));
  }
  std::printf("%s\n", cloister::retrieval::Measure(setup).dump(2).c_str());
  return 0;
}
