// SPDX-License-Identifier: Apache-2.0
#include "retrieval/analyzer.h"

#include <libstemmer.h>
#include <unicode/brkiter.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <algorithm>
#include <array>

namespace cloister::retrieval {
namespace {

// Stems of English function words, sorted.
constexpr std::array<std::string_view, 44> kStopWords = {
    "a",     "am",     "an",    "and", "ani",   "are",  "as",  "at",   "be",   "been",  "but",
    "by",    "can",    "could", "did", "do",    "doe",  "for", "from", "had",  "has",   "have",
    "how",   "i",      "if",    "in",  "is",    "it",   "my",  "of",   "on",   "or",    "our",
    "shall", "should", "that",  "the", "their", "this", "to",  "was",  "what", "which", "with"};

bool IsStopWord(std::string_view term) {
  return std::binary_search(kStopWords.begin(), kStopWords.end(), term);
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string_view CutTerm(std::string_view term) {
  if (term.size() <= kTermBytesMax) return term;
  size_t size = kTermBytesMax;
  while (size > 0 && (static_cast<unsigned char>(term[size]) & 0xC0) == 0x80) --size;
  return term.substr(0, size);
}

std::string Folded(std::string_view text) {
  std::string folded;
  folded.reserve(text.size());
  if (IsAscii(text)) {
    for (const char c : text) folded.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    return folded;
  }
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFKCCasefoldInstance(error);
  if (U_SUCCESS(error)) {
    icu::StringByteSink<std::string> sink(&folded);
    normalizer->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                              nullptr, error);
  }
  // New() has seen the normaliser work; what fails here is memory, and then the text is searched as it is.
  return U_SUCCESS(error) ? folded : std::string(text);
}

}  // namespace

struct Analyzer::Worker {
  std::unique_ptr<icu::BreakIterator> words;
  sb_stemmer* stemmer = nullptr;
  ~Worker() {
    if (stemmer != nullptr) sb_stemmer_delete(stemmer);
  }
};

Analyzer::Analyzer() = default;
Analyzer::~Analyzer() = default;

StatusOr<std::unique_ptr<Analyzer>> Analyzer::New() {
  std::unique_ptr<Analyzer> analyzer(new Analyzer());
  UErrorCode error = U_ZERO_ERROR;
  icu::Normalizer2::getNFKCCasefoldInstance(error);
  if (U_FAILURE(error)) return Internal("ICU has no normalisation data");
  CLOISTER_ASSIGN_OR_RETURN(auto worker, analyzer->NewWorker());
  analyzer->idle_.push_back(std::move(worker));
  return analyzer;
}

StatusOr<std::unique_ptr<Analyzer::Worker>> Analyzer::NewWorker() const {
  auto worker = std::make_unique<Worker>();
  UErrorCode error = U_ZERO_ERROR;
  worker->words.reset(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), error));
  if (U_FAILURE(error) || worker->words == nullptr) return Internal("ICU has no word boundary data");
  worker->stemmer = sb_stemmer_new("english", "UTF_8");
  if (worker->stemmer == nullptr) return Internal("the English stemmer is missing");
  return worker;
}

std::unique_ptr<Analyzer::Worker> Analyzer::TakeWorker() const {
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto worker = std::move(idle_.back());
      idle_.pop_back();
      return worker;
    }
  }
  auto worker = NewWorker();
  CLOISTER_CHECK(worker.ok());  // New() made one from the same data.
  return *std::move(worker);
}

std::vector<std::string> Analyzer::Terms(std::string_view text) const {
  std::vector<std::string> terms;
  const std::string folded = Folded(text);
  auto worker = TakeWorker();
  UErrorCode error = U_ZERO_ERROR;
  UText* utext = utext_openUTF8(nullptr, folded.data(), static_cast<int64_t>(folded.size()), &error);
  worker->words->setText(utext, error);
  CLOISTER_CHECK(U_SUCCESS(error));
  int32_t start = worker->words->first();
  for (int32_t end = worker->words->next(); end != icu::BreakIterator::DONE;
       start = end, end = worker->words->next()) {
    const int32_t kind = worker->words->getRuleStatus();
    if (kind < UBRK_WORD_NONE_LIMIT) continue;  // Space, punctuation, symbols.
    const auto word = CutTerm(
        std::string_view(folded).substr(static_cast<size_t>(start), static_cast<size_t>(end - start)));
    if (kind < UBRK_WORD_NUMBER_LIMIT) {
      terms.emplace_back(word);
      continue;
    }
    const sb_symbol* stem = sb_stemmer_stem(worker->stemmer, reinterpret_cast<const sb_symbol*>(word.data()),
                                            static_cast<int>(word.size()));
    CLOISTER_CHECK(stem != nullptr);
    terms.emplace_back(reinterpret_cast<const char*>(stem),
                       static_cast<size_t>(sb_stemmer_length(worker->stemmer)));
  }
  utext_close(utext);
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
  return terms;
}

std::vector<std::string> Analyzer::QuestionTerms(std::string_view question) const {
  std::vector<std::string> all = Terms(question), kept;
  for (const std::string& term : all) {
    if (!IsStopWord(term)) kept.push_back(term);
  }
  return kept.empty() ? all : kept;
}

}  // namespace cloister::retrieval
