// SPDX-License-Identifier: Apache-2.0
#include "services/audit/releases.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "common/bytes.h"
#include "common/id.h"

namespace cloister::services {
namespace {

using nlohmann::json;

// Entries are canonical JSON: no blanks, members in the order of their names. So these words stand in every
// entry of a release, and of the reading of a version, in this form.
constexpr std::string_view kReleaseMark = ".release\",\"mono\":\"";
constexpr std::string_view kReadingMark = "\"version.read\",\"mono\":\"";
constexpr std::string_view kPartMark = "\"part\":{\"body_text\":\"";
constexpr std::string_view kDocumentMark = "\"document\":\"";
constexpr size_t kHexDigits = 2 * kIdBytes;

Status TakeIds(const google::protobuf::RepeatedPtrField<std::string>& ids, std::string_view what,
               std::unordered_set<std::string>& out) {
  if (ids.size() > kReleasedDocumentsMax) {
    return InvalidArgument(std::string(what) + " are at most " + std::to_string(kReleasedDocumentsMax) +
                           "; ask in several calls");
  }
  for (const std::string& id : ids) {
    if (id.size() != kIdBytes) return InvalidArgument(std::string(what) + " have 16 bytes each");
    out.insert(HexEncode(id));
  }
  return absl::OkStatus();
}

std::string Text(const json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : std::string();
}

}  // namespace

StatusOr<ReleaseFinder> ReleaseFinder::New(const v1::FindReleasesRequest& request) {
  ReleaseFinder finder;
  CLOISTER_RETURN_IF_ERROR(TakeIds(request.documents(), "documents", finder.documents_));
  CLOISTER_RETURN_IF_ERROR(TakeIds(request.versions(), "versions", finder.versions_));
  if (finder.documents_.empty()) return InvalidArgument("name at least one document");
  if (request.releases_max() > kFoundReleasesMax) {
    return InvalidArgument("releases_max is at most " + std::to_string(kFoundReleasesMax));
  }
  finder.releases_max_ = request.releases_max() == 0 ? kFoundReleasesDefault : request.releases_max();
  return finder;
}

bool ReleaseFinder::NamesADocument(std::string_view body) const {
  for (size_t at = body.find(kDocumentMark); at != std::string_view::npos;
       at = body.find(kDocumentMark, at)) {
    at += kDocumentMark.size();
    if (documents_.contains(std::string(body.substr(at, kHexDigits)))) return true;
  }
  return false;
}

void ReleaseFinder::Begin(uint32_t generation) {
  generation_ = generation;
  begun_.reset();
}

Status ReleaseFinder::Take(std::string_view entry) {
  const size_t mark = std::min(entry.find(kReleaseMark), entry.find(kReadingMark));
  if (mark == std::string_view::npos) return absl::OkStatus();
  // An id may lie across the border of two parts, so these are parsed whatever they hold; there are few.
  const bool part = entry.find(kPartMark, mark) != std::string_view::npos;
  if (!part && !NamesADocument(entry)) return absl::OkStatus();
  CLOISTER_ASSIGN_OR_RETURN(audit::Envelope envelope, audit::ParseEnvelope(entry));
  if (envelope.event != "ask.release" && envelope.event != "search.release" && envelope.event != "version.read") {
    return absl::OkStatus();
  }
  return envelope.part ? TakePart(envelope) : TakeRecord(envelope, envelope.body_json);
}

Status ReleaseFinder::TakePart(const audit::Envelope& envelope) {
  const audit::Envelope::Part& part = *envelope.part;
  if (part.number == 1) {
    begun_ = envelope;
    body_.clear();
  } else if (!begun_ || begun_->seq != part.first) {
    return DataLoss("a release record in the audit log lacks a part");
  }
  body_ += part.body_text;
  if (part.number < part.of) return absl::OkStatus();
  const audit::Envelope first = *std::exchange(begun_, std::nullopt);
  return NamesADocument(body_) ? TakeRecord(first, body_) : absl::OkStatus();
}

Status ReleaseFinder::TakeRecord(const audit::Envelope& envelope, const std::string& body_text) {
  const json body = json::parse(body_text, nullptr, false);
  if (!body.is_object()) return DataLoss("a release record in the audit log has no body");
  std::map<std::string, std::set<std::string>> documents;
  for (const json& passage : body.value("passages", json::array())) {
    if (!passage.is_object()) continue;
    const std::string document = Text(passage, "document"), version = Text(passage, "version");
    if (!documents_.contains(document)) continue;
    if (versions_.empty() || versions_.contains(version)) documents[document].insert(version);
  }
  if (documents.empty()) return absl::OkStatus();
  ++total_;
  recipients_.insert(envelope.who.value);
  v1::FoundRelease release;
  release.set_generation(generation_);
  release.set_index(envelope.seq);
  release.set_time(envelope.time);
  release.set_ask(Text(body, "ask"));
  release.set_pseudonym(envelope.who.value);
  if (const auto purpose = body.find("purpose"); purpose != body.end() && purpose->is_object()) {
    release.set_purpose(Text(*purpose, "code"));
  }
  release.set_client_application(Text(body, "client_application"));
  for (const auto& [document, versions] : documents) {
    release.add_documents(*HexDecode(document));
    for (const std::string& version : versions) {
      const auto bytes = HexDecode(version);
      if (!bytes.ok() || bytes->size() != kIdBytes) continue;
      v1::ReleasedVersion* released = release.add_versions();
      released->set_document(*HexDecode(document));
      released->set_version(*bytes);
    }
  }
  found_.push_back(std::move(release));
  if (found_.size() > releases_max_) found_.pop_front();
  return absl::OkStatus();
}

v1::FindReleasesResponse ReleaseFinder::Result() const {
  v1::FindReleasesResponse response;
  for (auto release = found_.rbegin(); release != found_.rend(); ++release) {
    *response.add_releases() = *release;
  }
  response.set_total(total_);
  response.set_recipients(recipients_.size());
  return response;
}

}  // namespace cloister::services
