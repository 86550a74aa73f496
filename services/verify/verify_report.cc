// SPDX-License-Identifier: Apache-2.0
#include "services/verify/verify_report.h"

#include <nlohmann/json.hpp>

#include "audit/envelope.h"
#include "common/bytes.h"

namespace cloister::services {
namespace {

using nlohmann::json;

std::string Dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string Entries(uint64_t count) { return std::to_string(count) + (count == 1 ? " entry" : " entries"); }

}  // namespace

std::string WhatIsNotProven() {
  return "Not proven:\n"
         "  - that nothing is missing at the end: a log cut back to an older checkpoint verifies just as "
         "well.\n"
         "    Compare the size with a checkpoint or receipt you kept, or ask for one signed by a witness.\n"
         "  - that everything that happened was recorded, or that the recorded times are right.\n"
         "  - what the sealed sections say. Their commitments are in the entries, their content is not.\n"
         "  - that the verifier key is the appliance's: get it from a source you trust, not from the "
         "export.\n";
}

std::string FolderText(const audit::FolderReport& report) {
  std::string out;
  if (report.signature_holds) {
    out += "log         " + report.checkpoint.origin + "\n";
    out += "checkpoint  " + Entries(report.checkpoint.size) + ", signed by the given key\n";
    out += "root        " + HexEncode(report.checkpoint.root.bytes()) + "\n";
  }
  if (!report.first_time.empty()) {
    out += "times       " + report.first_time + " to " + report.last_time + " (as recorded)\n";
  }
  out += "checked     " + Entries(report.entries) + ", " + std::to_string(report.files) + " files\n\n";
  if (report.verified()) {
    out +=
        "VERIFIED: every entry is the one that was signed, in its place, and none is missing between "
        "them.\n\n";
    return out + WhatIsNotProven();
  }
  out += "NOT VERIFIED: " + std::to_string(report.problem_count) +
         (report.problem_count == 1 ? " problem.\n" : " problems.\n");
  for (const std::string& problem : report.problems) out += "  - " + problem + "\n";
  if (report.problem_count > report.problems.size()) {
    out += "  - and " + std::to_string(report.problem_count - report.problems.size()) + " more.\n";
  }
  return out;
}

std::string FolderJson(const audit::FolderReport& report) {
  json out = {{"kind", "folder"},
              {"verified", report.verified()},
              {"signature_holds", report.signature_holds},
              {"entries", report.entries},
              {"files", report.files},
              {"problem_count", report.problem_count},
              {"problems", report.problems}};
  if (report.signature_holds) {
    out["origin"] = report.checkpoint.origin;
    out["size"] = report.checkpoint.size;
    out["root"] = HexEncode(report.checkpoint.root.bytes());
  }
  if (!report.first_time.empty()) {
    out["first_time"] = report.first_time;
    out["last_time"] = report.last_time;
  }
  return Dump(out);
}

std::string ReceiptText(const StatusOr<audit::VerifiedReceipt>& result, bool with_entry) {
  if (!result.ok()) return "NOT VERIFIED: " + MessageOf(result.status()) + ".\n";
  std::string out = "log         " + result->checkpoint.origin + "\n";
  out += "checkpoint  " + Entries(result->checkpoint.size) + ", signed by the given key\n";
  out += "entry       " + std::to_string(result->index) + "\n";
  if (const auto envelope = audit::ParseEnvelope(result->entry); envelope.ok()) {
    out += "event       " + envelope->event + " at " + envelope->time + " (as recorded)\n";
  }
  const std::string entry = with_entry ? result->entry : std::to_string(result->entry.size()) + " bytes; --show-entry prints them";
  out += (with_entry ? "\n" : "content     ") + entry + "\n";
  return out + "\nVERIFIED: the signed log holds exactly this entry at this index.\n\n" + WhatIsNotProven();
}

std::string ReceiptJson(const StatusOr<audit::VerifiedReceipt>& result) {
  json out = {{"kind", "receipt"}, {"verified", result.ok()}};
  if (result.ok()) {
    out["origin"] = result->checkpoint.origin;
    out["size"] = result->checkpoint.size;
    out["root"] = HexEncode(result->checkpoint.root.bytes());
    out["index"] = result->index;
    out["entry"] = result->entry;
  } else {
    out["problems"] = json::array({MessageOf(result.status())});
  }
  return Dump(out);
}

}  // namespace cloister::services
