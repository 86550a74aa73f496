// SPDX-License-Identifier: Apache-2.0
#include "services/audit/former_logs.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "audit/envelope.h"
#include "audit/log_writer.h"
#include "common/bytes.h"
#include "common/file.h"

namespace cloister::services {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::string Text(const json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : std::string();
}

std::optional<audit::Checkpoint> CheckpointIn(const json& former) {
  const auto size = audit::ParseDecimal(Text(former, "size"));
  const auto bytes = Base64Decode(Text(former, "root"));
  if (!size.ok() || !bytes.ok()) return std::nullopt;
  const auto root = audit::Hash::FromBytes(*bytes);
  if (!root.ok()) return std::nullopt;
  return audit::Checkpoint{Text(former, "origin"), *size, *root};
}

// The folders that are named by a number as this program names them.
std::vector<uint32_t> GenerationsOnDisk(const fs::path& audit_directory) {
  std::vector<uint32_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(audit_directory / kFormerLogsFolder, error)) {
    const auto number = audit::ParseDecimal(entry.path().filename().string());
    if (number.ok() && *number >= kFirstGeneration && *number <= kGenerationMax) {
      found.push_back(static_cast<uint32_t>(*number));
    }
  }
  return found;
}

// The origin says whose signature there must be; the folder, which generation.
StatusOr<audit::ClosedLog> OpenLog(const fs::path& folder, uint32_t generation, std::string_view seed,
                                   std::string& origin) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string note,
                            ReadFile(folder / audit::kCheckpointFile, audit::kNoteBytesMax));
  const std::string named = note.substr(0, note.find('\n'));
  const auto number = GenerationOf(named);
  if (!number.ok() || *number != generation) return DataLoss("holds a log of another generation");
  CLOISTER_ASSIGN_OR_RETURN(const auto signer, audit::NoteSigner::New(named, seed));
  CLOISTER_ASSIGN_OR_RETURN(auto verifier, audit::NoteVerifier::Parse(signer.verifier_key()));
  CLOISTER_ASSIGN_OR_RETURN(auto log, audit::ClosedLog::Open(folder, std::move(verifier)));
  origin = named;
  return log;
}

FormerLog OpenOne(const fs::path& audit_directory, uint32_t generation, std::string_view seed) {
  FormerLog former;
  former.generation = generation;
  const fs::path folder = audit_directory / kFormerLogsFolder / std::to_string(generation);
  std::error_code error;
  if (!fs::exists(folder, error)) {
    former.problem = "is not on this disk";
    return former;
  }
  auto log = OpenLog(folder, generation, seed, former.origin);
  if (log.ok()) {
    former.log.emplace(*std::move(log));
  } else {
    former.problem = "cannot be read: " + MessageOf(log.status());
  }
  return former;
}

// What a citation says of a log that can be read.
std::string ProblemBy(const Citation& cited, const FormerLog& former) {
  if (!former.log || !cited.checkpoint) return "";
  const audit::Checkpoint& found = former.log->checkpoint();
  if (found.origin == cited.origin && found.size == cited.checkpoint->size &&
      found.root == cited.checkpoint->root) {
    return "";
  }
  return "is not the one that the log after it cites: " + std::to_string(found.size) +
         " entries instead of " + std::to_string(cited.checkpoint->size);
}

}  // namespace

std::optional<Citation> CitationIn(std::string_view entry) {
  const auto envelope = audit::ParseEnvelope(entry);
  if (!envelope.ok() || envelope->event != "backup.restored") return std::nullopt;
  const json body = json::parse(envelope->body_json, nullptr, false);
  if (!body.is_object() || !body.contains("former") || !body["former"].is_object()) return std::nullopt;
  Citation citation;
  citation.origin = Text(body["former"], "origin");
  const auto generation = GenerationOf(citation.origin);
  if (!generation.ok()) return std::nullopt;
  citation.generation = *generation;
  citation.checkpoint = CheckpointIn(body["former"]);
  return citation;
}

std::vector<FormerLog> OpenFormerLogs(const fs::path& audit_directory, uint32_t present,
                                      std::optional<Citation> cited, std::string_view seed) {
  std::map<uint32_t, FormerLog> logs;
  std::vector<Citation> citations;
  // Opens it and takes down what it cites itself.
  const auto open = [&](uint32_t generation) -> FormerLog& {
    if (const auto there = logs.find(generation); there != logs.end()) return there->second;
    FormerLog& former = logs[generation];
    if (logs.size() > kFormerLogsMax) {
      former.generation = generation;
      former.problem = "was not read: there are too many former logs";
      return former;
    }
    former = OpenOne(audit_directory, generation, seed);
    if (!former.log) return former;
    const auto first = former.log->Read(0, 1);
    auto citation = first.ok() && !first->empty() ? CitationIn(first->front()) : std::nullopt;
    // A log cites an earlier one.
    if (citation && citation->generation < generation) citations.push_back(*std::move(citation));
    return former;
  };
  for (const uint32_t generation : GenerationsOnDisk(audit_directory)) {
    FormerLog& former = open(generation);
    if (generation < present) continue;
    former.log.reset();
    former.problem = "is not before the present one, generation " + std::to_string(present);
  }
  if (cited && cited->generation < present) citations.push_back(*std::move(cited));
  for (size_t i = 0; i < citations.size(); ++i) {
    const Citation citation = citations[i];  // Opening may add to them.
    FormerLog& former = open(citation.generation);
    if (former.problem.empty()) former.problem = ProblemBy(citation, former);
    if (former.origin.empty()) former.origin = citation.origin;
  }
  std::vector<FormerLog> out;
  for (auto& [generation, former] : logs) out.push_back(std::move(former));
  return out;
}

StatusOr<FormerLog> OpenFormerLog(const fs::path& audit_directory, uint32_t generation,
                                  std::string_view seed) {
  FormerLog former = OpenOne(audit_directory, generation, seed);
  if (former.log) return former;
  const std::string what = "the log of generation " + std::to_string(generation) + " " + former.problem;
  std::error_code error;
  const fs::path folder = audit_directory / kFormerLogsFolder / std::to_string(generation);
  return fs::exists(folder, error) ? DataLoss(what) : NotFound(what);
}

}  // namespace cloister::services
