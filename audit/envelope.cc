// SPDX-License-Identifier: Apache-2.0
#include "audit/envelope.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "audit/canonical_json.h"
#include "audit/checkpoint.h"
#include "audit/event_names.h"
#include "audit/note.h"
#include "common/bytes.h"
#include "crypto/hash.h"

namespace cloister::audit {
namespace {

using Json = nlohmann::json;

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

Status CheckActor(const Actor& who) {
  if (who.kind == Actor::Kind::kUser) {
    const auto pseudonym = Pseudonym::FromHex(who.value);
    if (!pseudonym.ok())
      return InvalidArgument("a person must be given by a pseudonym of 32 hexadecimal digits");
    return absl::OkStatus();
  }
  if (who.value.size() > kActorBytesMax || !CheckKeyName(who.value).ok()) {
    return InvalidArgument("a service's name has 1 to 128 printable ASCII characters without spaces");
  }
  return absl::OkStatus();
}

// Cuts canonical JSON text where a UTF-8 character begins.
std::vector<std::string> CutBody(std::string_view body) {
  std::vector<std::string> parts;
  while (!body.empty()) {
    size_t size = std::min(body.size(), kBodyPartBytesMax);
    while (size < body.size() && (static_cast<unsigned char>(body[size]) & 0xc0) == 0x80) --size;
    parts.emplace_back(body.substr(0, size));
    body.remove_prefix(size);
  }
  return parts;
}

std::string WhoJson(const Actor& who) {
  return who.kind == Actor::Kind::kUser ? "{\"kind\":\"user\",\"pseudonym\":" + Quoted(who.value) + "}"
                                        : "{\"kind\":\"service\",\"name\":" + Quoted(who.value) + "}";
}

std::string SectionsJson(const std::vector<SealedSection>& sections) {
  std::string out = "[";
  for (const SealedSection& section : sections) {
    if (out.size() > 1) out += ',';
    out += "{\"commitment\":\"" + HexEncode(section.commitment.bytes()) + "\",\"id\":\"" + section.id.hex() +
           "\"}";
  }
  return out + "]";
}

std::string SubjectsJson(const std::vector<Pseudonym>& subjects) {
  std::string out = "[";
  for (const Pseudonym& subject : subjects) {
    if (out.size() > 1) out += ',';
    out += '"' + subject.hex() + '"';
  }
  return out + "]";
}

// Reads members of a JSON object by name and remembers the first thing that was wrong.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}
  std::string String(const char* name) {
    const Json* value = Find(name);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    Wrong(name);
    return {};
  }
  uint64_t Integer(const char* name) {
    const Json* value = Find(name);
    if (value != nullptr && value->is_number_unsigned()) return value->get<uint64_t>();
    Wrong(name);
    return 0;
  }
  template <class IdType>
  IdType Id(const char* name) {
    const auto id = IdType::FromHex(String(name));
    if (id.ok()) return *id;
    Wrong(name);
    return {};
  }
  const Json& Member(const char* name, bool (Json::*is)() const noexcept) {
    static const Json kEmpty = Json::object();
    const Json* value = Find(name);
    if (value != nullptr && (value->*is)()) return *value;
    Wrong(name);
    return kEmpty;
  }
  void Wrong(std::string_view name) {
    if (wrong_.empty()) wrong_ = name;
  }
  // No members other than those listed.
  void Only(std::initializer_list<std::string_view> names) {
    for (const auto& [key, value] : object_.items()) {
      if (std::find(names.begin(), names.end(), key) == names.end()) Wrong("(unknown member)");
    }
  }
  Status Finish(std::string_view what) const {
    if (wrong_.empty()) return absl::OkStatus();
    return DataLoss(std::string(what) + ": \"" + wrong_ + "\" is missing or malformed");
  }

 private:
  const Json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  const Json& object_;
  std::string wrong_;
};

StatusOr<Actor> ParseActor(const Json& json) {
  Actor who;
  Fields fields(json);
  const std::string kind = fields.String("kind");
  if (kind == "user") {
    who.kind = Actor::Kind::kUser;
    who.value = fields.Id<Pseudonym>("pseudonym").hex();
    fields.Only({"kind", "pseudonym"});
  } else {
    if (kind != "service") fields.Wrong("kind");
    who.value = fields.String("name");
    fields.Only({"kind", "name"});
  }
  CLOISTER_RETURN_IF_ERROR(fields.Finish("who"));
  return who;
}

StatusOr<std::vector<SectionReference>> ParseSections(const Json& json) {
  std::vector<SectionReference> sections;
  for (const Json& item : json) {
    if (!item.is_object()) return DataLoss("a section reference is not an object");
    Fields fields(item);
    SectionReference section;
    section.id = fields.Id<SectionId>("id");
    const auto raw = HexDecode(fields.String("commitment"));
    if (raw.ok() && raw->size() == kHashBytes) {
      section.commitment = *Hash::FromBytes(*raw);
    } else {
      fields.Wrong("commitment");
    }
    fields.Only({"id", "commitment"});
    CLOISTER_RETURN_IF_ERROR(fields.Finish("sections"));
    sections.push_back(section);
  }
  return sections;
}

StatusOr<Envelope::Part> ParsePart(const Json& json, uint64_t seq) {
  Fields fields(json);
  Envelope::Part part;
  part.body_text = fields.String("body_text");
  part.first = fields.Integer("first");
  const uint64_t number = fields.Integer("number"), of = fields.Integer("of");
  fields.Only({"body_text", "first", "number", "of"});
  if (number == 0 || number > of || of > kBodyBytesMax || part.first + number - 1 != seq)
    fields.Wrong("number");
  part.number = static_cast<uint32_t>(number);
  part.of = static_cast<uint32_t>(of);
  CLOISTER_RETURN_IF_ERROR(fields.Finish("part"));
  return part;
}

// "2026-11-22T13:40:25.000000000Z"
bool IsTime(std::string_view time) {
  static constexpr std::string_view kForm = "0000-00-00T00:00:00.000000000Z";
  if (time.size() != kForm.size()) return false;
  for (size_t i = 0; i < time.size(); ++i) {
    if (kForm[i] == '0' ? time[i] < '0' || time[i] > '9' : time[i] != kForm[i]) return false;
  }
  return true;
}

StatusOr<Json> ParseVersioned(std::string_view entry) {
  const auto canonical = CanonicalJsonObject(entry);
  if (!canonical.ok()) return DataLoss("an entry is not an envelope: " + MessageOf(canonical.status()));
  if (*canonical != entry) return DataLoss("an entry is not canonical JSON");
  Json json = Json::parse(entry, nullptr, false);
  const auto version = json.find("v");
  if (version == json.end() || !version->is_number_unsigned()) return DataLoss("an entry has no version");
  if (*version != kEnvelopeVersion) {
    return FailedPrecondition("an entry has envelope version " + version->dump() +
                              "; this program knows version 1");
  }
  return json;
}

}  // namespace

Hash SectionCommitment(std::string_view salt, std::string_view sealed) {
  CLOISTER_CHECK(salt.size() == kSectionSaltBytes);
  crypto::Sha256Stream stream;
  stream.Update(salt);
  stream.Update(sealed);
  return *Hash::FromBytes(stream.Finish());
}

StatusOr<PreparedRecord> PreparedRecord::New(const Event& event, std::string_view tenant) {
  if (!IsEventName(event.name)) return InvalidArgument("the event is not one of the audit log's classes");
  CLOISTER_RETURN_IF_ERROR(CheckKeyName(tenant));
  CLOISTER_RETURN_IF_ERROR(CheckActor(event.who));
  if (event.subjects.size() > kSubjectsMax)
    return InvalidArgument("an audit record has at most 256 subjects");
  if (event.sections.size() > kSectionsMax)
    return InvalidArgument("an audit record has at most 128 sections");
  PreparedRecord record;
  auto body = CanonicalJsonObject(event.body_json, kJsonDepthMax - 1);  // The envelope is a level of its own.
  if (!body.ok()) return Annotate(body.status(), "body of the audit record");
  if (body->size() > kBodyBytesMax) return InvalidArgument("the body of an audit record has at most 1 MiB");
  record.body_ = *std::move(body);
  record.event_ = Quoted(event.name);
  record.tenant_ = Quoted(tenant);
  record.who_ = WhoJson(event.who);
  record.subjects_ = SubjectsJson(event.subjects);
  record.sections_ = SectionsJson(event.sections);
  // The stamp and the numbers below vary in length by less than this margin.
  constexpr size_t kMargin = 512;
  const size_t fixed = record.event_.size() + record.tenant_.size() + record.who_.size() +
                       record.subjects_.size() + record.sections_.size() + kMargin;
  if (fixed + record.body_.size() > kEntryBytesMax) record.parts_ = CutBody(record.body_);
  record.bytes_max_ = record.entry_count() * fixed + 2 * record.body_.size();
  return record;
}

std::vector<std::string> PreparedRecord::Entries(uint64_t first_seq, const Stamp& stamp) const {
  std::vector<std::string> entries;
  for (size_t part = 0; part < entry_count(); ++part) {
    entries.push_back(Entry(first_seq, part, stamp));
    CLOISTER_CHECK(entries.back().size() <= kEntryBytesMax);
  }
  return entries;
}

// Members in the order of RFC 8785. Sections and subjects stand in the first part only.
std::string PreparedRecord::Entry(uint64_t first_seq, size_t part, const Stamp& stamp) const {
  std::string out = "{";
  if (parts_.empty()) out += "\"body\":" + body_ + ",";
  out += "\"boot\":" + Quoted(stamp.boot) + ",\"event\":" + event_;
  out += ",\"mono\":\"" + std::to_string(stamp.monotonic.count()) + "\"";
  if (!parts_.empty()) {
    out += ",\"part\":{\"body_text\":" + Quoted(parts_[part]) + ",\"first\":" + std::to_string(first_seq);
    out += ",\"number\":" + std::to_string(part + 1) + ",\"of\":" + std::to_string(parts_.size()) + "}";
  }
  out += ",\"sections\":" + (part == 0 ? sections_ : "[]") + ",\"seq\":" + std::to_string(first_seq + part);
  out += ",\"subjects\":" + (part == 0 ? subjects_ : "[]") + ",\"tenant\":" + tenant_;
  out += ",\"time\":\"" + FormatTime(stamp.time) + "\",\"v\":" + std::to_string(kEnvelopeVersion);
  return out + ",\"who\":" + who_ + "}";
}

StatusOr<Envelope> ParseEnvelope(std::string_view entry) {
  CLOISTER_ASSIGN_OR_RETURN(const Json json, ParseVersioned(entry));
  Envelope envelope;
  Fields fields(json);
  fields.Only(
      {"body", "boot", "event", "mono", "part", "sections", "seq", "subjects", "tenant", "time", "v", "who"});
  envelope.tenant = fields.String("tenant");
  envelope.event = fields.String("event");
  envelope.time = fields.String("time");
  envelope.boot = fields.String("boot");
  envelope.seq = fields.Integer("seq");
  if (!IsTime(envelope.time)) fields.Wrong("time");
  const auto monotonic = ParseDecimal(fields.String("mono"));
  if (!monotonic.ok()) fields.Wrong("mono");
  envelope.monotonic_ns = monotonic.ok() ? *monotonic : 0;
  const Json& who = fields.Member("who", &Json::is_object);
  const Json& sections = fields.Member("sections", &Json::is_array);
  for (const Json& subject : fields.Member("subjects", &Json::is_array)) {
    const auto pseudonym = subject.is_string() ? Pseudonym::FromHex(subject.get<std::string>())
                                               : StatusOr<Pseudonym>(DataLoss("not a string"));
    if (pseudonym.ok()) envelope.subjects.push_back(*pseudonym);
    if (!pseudonym.ok()) fields.Wrong("subjects");
  }
  const bool continues = json.contains("part");
  if (continues == json.contains("body")) fields.Wrong("body");
  if (continues) fields.Member("part", &Json::is_object);
  if (!continues) envelope.body_json = fields.Member("body", &Json::is_object).dump();
  CLOISTER_RETURN_IF_ERROR(fields.Finish("envelope"));
  CLOISTER_ASSIGN_OR_RETURN(envelope.who, ParseActor(who));
  CLOISTER_ASSIGN_OR_RETURN(envelope.sections, ParseSections(sections));
  if (continues) {
    CLOISTER_ASSIGN_OR_RETURN(envelope.part, ParsePart(json["part"], envelope.seq));
  }
  return envelope;
}

}  // namespace cloister::audit
