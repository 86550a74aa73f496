// SPDX-License-Identifier: Apache-2.0
// Finds, in a reading of logs from their first entries, the releases that handed out passages of given
// documents, and the readings of their versions. Parses only the entries that can be such; the rest costs a
// search for a few words in each. Does not read a log itself and does not know names. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "audit/envelope.h"
#include "cloister/v1/audit.pb.h"
#include "common/status.h"

namespace cloister::services {

constexpr int kReleasedDocumentsMax = 100'000;  // And as many versions.
constexpr uint32_t kFoundReleasesMax = 1000;
constexpr uint32_t kFoundReleasesDefault = 100;

class ReleaseFinder {
 public:
  // Errors: kInvalidArgument (no document, too many of anything, an id that has not 16 bytes).
  static StatusOr<ReleaseFinder> New(const v1::FindReleasesRequest& request);
  // What is taken from here on is of this generation's log; also after a gap in one, which ends a record that
  // was begun.
  void Begin(uint32_t generation);
  // The next entry of the log. Errors: kDataLoss (not an envelope, a part without those before it).
  Status Take(std::string_view entry);
  // What was found so far, newest first, without the names of users.
  v1::FindReleasesResponse Result() const;

 private:
  ReleaseFinder() = default;
  // Whether the text of a body names one of the documents at all.
  bool NamesADocument(std::string_view body) const;
  Status TakePart(const audit::Envelope& envelope);
  Status TakeRecord(const audit::Envelope& envelope, const std::string& body);

  std::unordered_set<std::string> documents_, versions_;  // In hexadecimal, as the log has them.
  size_t releases_max_ = 0;
  uint32_t generation_ = 0;
  std::optional<audit::Envelope> begun_;  // A record whose later parts have yet to come.
  std::string body_;                      // Of it, so far.
  std::deque<v1::FoundRelease> found_;    // Oldest first.
  std::unordered_set<std::string> recipients_;
  uint64_t total_ = 0;
};

}  // namespace cloister::services
