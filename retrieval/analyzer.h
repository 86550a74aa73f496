// SPDX-License-Identifier: Apache-2.0
// Text to index terms: Unicode normalisation and case folding (NFKC_Casefold), word boundaries by UAX #29,
// English stems. Keeps numbers ("164.524" is one term). Does not know documents or questions.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace cloister::retrieval {

constexpr size_t kTermBytesMax = 64;  // A longer word is cut, at a character's border.

// Thread-safe. One for the life of the service.
class Analyzer {
 public:
  // Errors: kInternal (ICU's data or the stemmer is missing).
  static StatusOr<std::unique_ptr<Analyzer>> New();
  ~Analyzer();

  // The terms of `text` in order, with repetitions. Bytes that are not UTF-8 separate words.
  std::vector<std::string> Terms(std::string_view text) const;

  // The terms a question is searched by: function words are left out unless nothing else is there. They carry
  // little weight (leaving them out gains 0.002 nDCG@10 on SciFact) and have the longest postings.
  std::vector<std::string> QuestionTerms(std::string_view question) const;

 private:
  struct Worker;  // A break iterator and a stemmer: not thread-safe, so one for each caller at work.
  Analyzer();
  StatusOr<std::unique_ptr<Worker>> NewWorker() const;
  std::unique_ptr<Worker> TakeWorker() const;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Worker>> idle_;
};

}  // namespace cloister::retrieval
