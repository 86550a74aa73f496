// SPDX-License-Identifier: Apache-2.0
// Measures of ranked lists against judgements, and the BEIR layout they come in. For tests and benchmarks.
#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace cloister::retrieval {

struct Dataset {
  std::vector<std::string> document_ids, documents;  // Title and text.
  std::vector<std::string> question_ids, questions;
  std::map<std::string, std::map<std::string, int>> judgements;  // Question, document, grade.
};

// `questions` and `judgements` are file names in `directory`. Empty when the folder is absent.
inline Dataset ReadBeir(const std::string& directory, const std::string& questions,
                        const std::string& judgements) {
  Dataset dataset;
  std::string line;
  for (std::ifstream file(directory + "/corpus.jsonl"); std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line);
    dataset.document_ids.push_back(row.at("_id"));
    dataset.documents.push_back(row.value("title", "") + "\n" + row.at("text").get<std::string>());
  }
  for (std::ifstream file(directory + "/" + questions); std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line);
    dataset.question_ids.push_back(row.at("_id"));
    dataset.questions.push_back(row.at("text"));
  }
  std::ifstream file(directory + "/" + judgements);
  std::getline(file, line);  // Column names.
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string question, document;
    int grade = 0;
    if (words >> question >> document >> grade) dataset.judgements[question][document] = grade;
  }
  return dataset;
}

// Normalised discounted cumulative gain of the first `depth`, with linear gains, as trec_eval and BEIR count
// it.
inline double NdcgAt(size_t depth, const std::vector<std::string>& ranked,
                     const std::map<std::string, int>& grades) {
  double gain = 0, ideal = 0;
  for (size_t i = 0; i < std::min(depth, ranked.size()); ++i) {
    const auto found = grades.find(ranked[i]);
    if (found != grades.end()) gain += found->second / std::log2(static_cast<double>(i) + 2);
  }
  std::vector<int> sorted;
  for (const auto& [document, grade] : grades) sorted.push_back(grade);
  std::sort(sorted.rbegin(), sorted.rend());
  for (size_t i = 0; i < std::min(depth, sorted.size()); ++i)
    ideal += sorted[i] / std::log2(static_cast<double>(i) + 2);
  return ideal > 0 ? gain / ideal : 0;
}

inline double RecallAt(size_t depth, const std::vector<std::string>& ranked,
                       const std::map<std::string, int>& grades) {
  size_t relevant = 0, found = 0;
  for (const auto& [document, grade] : grades) {
    if (grade <= 0) continue;
    ++relevant;
    const auto end = ranked.begin() + static_cast<ptrdiff_t>(std::min(depth, ranked.size()));
    found += std::find(ranked.begin(), end, document) != end ? 1 : 0;
  }
  return relevant == 0 ? 0 : static_cast<double>(found) / static_cast<double>(relevant);
}

}  // namespace cloister::retrieval
