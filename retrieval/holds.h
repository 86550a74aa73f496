// SPDX-License-Identifier: Apache-2.0
// Legal holds: reasons to keep, under which nothing that they cover is erased. Does not decide what is lawful; a person
// places and releases them, and the log keeps who did. SPEC: docs/formats/documents.md "Holds"; GDPR article 17(3)
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "retrieval/records.h"
#include "retrieval/retired_keys.h"
#include "retrieval/rows.h"

namespace cloister::retrieval {

struct HoldIdTag {};
using HoldId = Id<HoldIdTag>;

constexpr size_t kHoldsMax = 10'000;
constexpr size_t kReasonBytesMin = 8;
constexpr size_t kReasonBytesMax = 1'000;

// What a hold covers, and an erasure takes.
enum class TargetKind : uint8_t { kDocument = 1, kSubject = 2, kCollection = 3 };
std::string_view NameOf(TargetKind kind);  // "document", "subject" and "collection".

struct Hold {
  HoldId id;
  TargetKind kind = TargetKind::kDocument;
  SourceName document;     // kDocument.
  std::string subject;     // kSubject.
  std::string collection;  // kCollection.
  std::string basis;       // One of HoldBases().
  std::string reason;
  std::string placed_by;
  int64_t placed_at_ns = 0;  // Unix time.
};

// "legal-claims" (17(3)(e)), "legal-obligation" (b), "public-health" (c), "archiving" (d), "expression" (a).
const std::vector<std::string_view>& HoldBases();
bool Covers(const Hold& hold, const DocumentInfo& info);

// Thread-safe. All references must outlive it. Each hold is sealed under a key of its own, which is retired with it: it
// names subjects.
class Holds {
 public:
  // Errors: kUnavailable, kDataLoss (a hold that cannot be read: nothing may be erased until it is mended).
  static StatusOr<std::unique_ptr<Holds>> Open(Rows& rows, RetiredKeys& retired, const Clock& clock);
  // Durable when it returns, with its event for audit. Takes rows.write_mutex(). Errors: kInvalidArgument (basis,
  // reason, no target), kResourceExhausted (kHoldsMax, disk full), kUnavailable.
  StatusOr<Hold> Place(Hold hold, std::string_view actor);
  // Errors: kNotFound, kInvalidArgument (reason), kUnavailable.
  StatusOr<Hold> Release(const HoldId& id, std::string_view reason, std::string_view by, std::string_view actor);
  std::vector<Hold> List() const;  // Oldest first.
  std::vector<Hold> Covering(const DocumentInfo& info) const;
  // Those that name this subject or collection themselves.
  std::vector<Hold> On(TargetKind kind, std::string_view name) const;

 private:
  Holds(Rows& rows, RetiredKeys& retired, const Clock& clock) : rows_(rows), retired_(retired), clock_(clock) {}
  Rows& rows_;
  RetiredKeys& retired_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<HoldId, Hold> holds_;
};

// Errors: kInvalidArgument.
Status CheckReason(std::string_view reason);

}  // namespace cloister::retrieval
