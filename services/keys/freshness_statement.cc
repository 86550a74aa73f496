// SPDX-License-Identifier: Apache-2.0
#include "services/keys/freshness_statement.h"

#include <algorithm>
#include <vector>

#include "audit/checkpoint.h"
#include "common/bytes.h"

namespace cloister::services {
namespace {

constexpr std::string_view kFirstLine = "cloister/freshness/v1";
constexpr std::string_view kFamily = "cloister/freshness/";
constexpr size_t kRootBytes = 32;
constexpr size_t kNameBytesMax = 64;

Status Malformed() { return DataLoss("the freshness statement is damaged"); }

bool IsFolderName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const size_t end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

StatusOr<DatabaseId> ParseId(std::string_view hex) {
  const auto bytes = HexDecode(hex);
  return bytes.ok() ? DatabaseId::FromBytes(*bytes) : StatusOr<DatabaseId>(bytes.status());
}

Status ParseStore(const std::vector<std::string_view>& words, FreshnessStatement& statement) {
  if (words.size() != 4 || statement.stores.size() == kFreshStoresMax) return Malformed();
  const std::vector<std::string_view> name = Split(words[1], '/');
  if (name.size() != 2 || !IsFolderName(name[0]) || !IsFolderName(name[1])) return Malformed();
  FreshStore store;
  CLOISTER_ASSIGN_OR_RETURN(store.database, ParseId(words[2]));
  CLOISTER_ASSIGN_OR_RETURN(store.sequence, audit::ParseDecimal(words[3]));
  statement.stores[{std::string(name[0]), std::string(name[1])}] = store;
  return absl::OkStatus();
}

Status ParseLog(const std::vector<std::string_view>& words, FreshnessStatement& statement) {
  if (words.size() != 4) return Malformed();
  FreshLog log;
  log.origin = words[1];
  CLOISTER_ASSIGN_OR_RETURN(log.size, audit::ParseDecimal(words[2]));
  CLOISTER_ASSIGN_OR_RETURN(log.root, Base64Decode(words[3]));
  if (!audit::CheckKeyName(log.origin).ok() || log.root.size() != kRootBytes) return Malformed();
  statement.log = std::move(log);
  return absl::OkStatus();
}

Status ParseLine(std::string_view line, FreshnessStatement& statement) {
  const std::vector<std::string_view> words = Split(line, ' ');
  if (words[0] == "store") return ParseStore(words, statement);
  if (words[0] == "log") return ParseLog(words, statement);
  if (words[0] == "counter" && words.size() == 3) {
    statement.counter = words[1];
    CLOISTER_ASSIGN_OR_RETURN(statement.count, audit::ParseDecimal(words[2]));
    return absl::OkStatus();
  }
  if (words.size() != 2) return Malformed();
  if (words[0] == "appliance") {
    CLOISTER_ASSIGN_OR_RETURN(statement.appliance, ParseId(words[1]));
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t number, audit::ParseDecimal(words[1]));
  if (words[0] == "number") {
    statement.number = number;
  } else if (words[0] == "keyring") {
    statement.keyring = number;
  } else if (words[0] == "made") {
    statement.made_ns = static_cast<int64_t>(number);
  } else {
    return Malformed();
  }
  return absl::OkStatus();
}

}  // namespace

std::string StatementText(const FreshnessStatement& statement) {
  const auto line = [](std::string_view name, const std::string& value) {
    return std::string(name) + " " + value + "\n";
  };
  std::string out = std::string(kFirstLine) + "\n";
  out += line("appliance", HexEncode(statement.appliance.bytes()));
  out += line("number", std::to_string(statement.number));
  out += line("keyring", std::to_string(statement.keyring));
  out += line("made", std::to_string(statement.made_ns));
  if (!statement.counter.empty())
    out += line("counter", statement.counter + " " + std::to_string(statement.count));
  for (const auto& [name, store] : statement.stores) {
    out += line("store", name.first + "/" + name.second + " " + HexEncode(store.database.bytes()) + " " +
                             std::to_string(store.sequence));
  }
  if (statement.log) {
    out += line("log", statement.log->origin + " " + std::to_string(statement.log->size) + " " +
                           Base64Encode(statement.log->root));
  }
  return out;
}

StatusOr<FreshnessStatement> ParseStatementText(std::string_view text) {
  const std::string_view first = text.substr(0, text.find('\n'));
  if (first != kFirstLine && first.starts_with(kFamily)) {
    return FailedPrecondition("the freshness statement has format " +
                              std::string(first.substr(kFamily.size(), 16)) +
                              ", which this version does not know; use a newer one");
  }
  if (first != kFirstLine || !text.ends_with('\n')) return Malformed();
  std::vector<std::string_view> lines = Split(text.substr(0, text.size() - 1), '\n');
  FreshnessStatement statement;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (!ParseLine(lines[i], statement).ok()) return Malformed();
  }
  // One spelling alone: order, numbers, nothing twice and nothing missing.
  if (StatementText(statement) != text) return Malformed();
  return statement;
}

std::string FreshnessKeyName(const DatabaseId& appliance) {
  return std::string(kFirstLine) + "/" + HexEncode(appliance.bytes());
}

}  // namespace cloister::services
