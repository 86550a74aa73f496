// SPDX-License-Identifier: Apache-2.0
// The envelope: the public part of an audit record, canonical JSON, which is what the log hashes. Does not
// seal sections and does not choose pseudonyms; callers pass both ready. Pure and thread-safe. SPEC:
// docs/formats/audit.md "Envelope"
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/merkle.h"
#include "audit/tiles.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"

namespace cloister::audit {

constexpr int kEnvelopeVersion = 1;
constexpr size_t kBodyBytesMax = 1024 * 1024;    // Canonical.
constexpr size_t kBodyPartBytesMax = 16 * 1024;  // Of a record that continues; escaping at most doubles it.
constexpr size_t kSubjectsMax = 256;
constexpr size_t kSectionsMax = 128;
constexpr size_t kActorBytesMax = 128;
constexpr size_t kSectionSaltBytes = 32;

// SHA256(salt || sealed): what the leaf shows of a section. `salt` has kSectionSaltBytes (CHECKed).
Hash SectionCommitment(std::string_view salt, std::string_view sealed);

// A section beside the log, sealed by the caller. Both byte strings are opaque here.
struct SealedSection {
  SectionId id;
  Hash commitment;
  std::string sealed;      // Content under the section's key.
  std::string key_record;  // That key and the salt, under the subject's key.
};

struct Actor {
  enum class Kind { kUser, kService };
  Kind kind = Kind::kService;
  std::string value;  // kUser: a pseudonym in hexadecimal; kService: an identity such as "retrieval".
};

struct Event {
  std::string name;       // One of EventNames().
  std::string body_json;  // A JSON object; made canonical here.
  Actor who;
  std::vector<Pseudonym> subjects;
  std::vector<SealedSection> sections;  // Only ids and commitments get into the envelope.
};

// What the log adds at the moment of writing.
struct Stamp {
  WallTime time;
  std::chrono::nanoseconds monotonic{0};
  std::string boot;  // 32 hexadecimal digits.
};

// A checked event that will become one entry, or several with consecutive numbers when its body is too large
// for one.
class PreparedRecord {
 public:
  // `tenant` satisfies CheckKeyName. Errors: kInvalidArgument (unknown event, body not canonical or over
  // kBodyBytesMax, too many subjects or sections, a malformed actor).
  static StatusOr<PreparedRecord> New(const Event& event, std::string_view tenant);
  size_t entry_count() const { return parts_.empty() ? 1 : parts_.size(); }
  // An upper bound of the entries' total length.
  size_t bytes_max() const { return bytes_max_; }
  // The entries for sequence numbers `first_seq`, `first_seq` + 1, ...; each at most kEntryBytesMax.
  std::vector<std::string> Entries(uint64_t first_seq, const Stamp& stamp) const;

 private:
  std::string Entry(uint64_t first_seq, size_t part, const Stamp& stamp) const;
  std::string event_, tenant_, body_, who_, subjects_, sections_;  // Canonical fragments.
  std::vector<std::string> parts_;  // Pieces of body_; empty when the record fits one entry.
  size_t bytes_max_ = 0;
};

struct SectionReference {
  SectionId id;
  Hash commitment;
};

// A parsed entry.
struct Envelope {
  std::string tenant, event, time, boot;
  uint64_t monotonic_ns = 0;
  uint64_t seq = 0;
  Actor who;
  std::vector<Pseudonym> subjects;
  std::vector<SectionReference> sections;
  std::string body_json;  // Canonical; empty for a part of a record that continues.
  struct Part {
    uint64_t first = 0;   // seq of the record's first entry.
    uint32_t number = 0;  // From 1.
    uint32_t of = 0;
    std::string body_text;  // The parts' texts, joined in order, are the canonical body.
  };
  std::optional<Part> part;
};

// Errors: kFailedPrecondition (another version; the message names it), kDataLoss (not canonical, a member
// missing, unknown or of the wrong form). An event name that is not on the list is accepted: a later version
// may have written it.
StatusOr<Envelope> ParseEnvelope(std::string_view entry);

}  // namespace cloister::audit
