// SPDX-License-Identifier: Apache-2.0
#include "services/verify/verify_report.h"

#include <nlohmann/json.hpp>

#include "audit/envelope.h"
#include "common/bytes.h"
#include "common/clock.h"

namespace cloister::services {
namespace {

using nlohmann::json;

std::string Dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string Entries(uint64_t count) { return std::to_string(count) + (count == 1 ? " entry" : " entries"); }

std::string KeptLines(const std::vector<KeptCheckpoint>& kept) {
  std::string out;
  for (const KeptCheckpoint& one : kept) {
    out += "kept        " + Entries(one.checkpoint.size) + ", signed by the given key";
    for (const Cosigned& by : one.cosigned) {
      out += "; cosigned by " + by.witness + " at " + FormatTime(WallTime(std::chrono::seconds(by.time))) + " by its clock";
    }
    out += "\n";
  }
  return out;
}

json KeptRows(const std::vector<KeptCheckpoint>& kept) {
  json rows = json::array();
  for (const KeptCheckpoint& one : kept) {
    json cosigned = json::array();
    for (const Cosigned& by : one.cosigned) cosigned.push_back({{"witness", by.witness}, {"time", by.time}});
    rows.push_back({{"size", one.checkpoint.size},
                    {"root", HexEncode(one.checkpoint.root.bytes())},
                    {"cosigned", std::move(cosigned)}});
  }
  return rows;
}

}  // namespace

std::string WhatIsNotProven() {
  return "Not proven:\n"
         "  - that nothing is missing at the end: a log cut back to an older checkpoint verifies just as "
         "well.\n"
         "    Give checkpoints that you or a witness kept with --kept: the log must begin with each of them.\n"
         "  - that everything that happened was recorded, or that the recorded times are right.\n"
         "  - what the sealed sections say. Their commitments are in the entries, their content is not.\n"
         "  - that the verifier key is the appliance's: get it from a source you trust, not from the "
         "export.\n";
}

std::string FolderText(const audit::FolderReport& report, const std::vector<KeptCheckpoint>& kept) {
  std::string out;
  if (report.signature_holds) {
    out += "log         " + report.checkpoint.origin + "\n";
    out += "checkpoint  " + Entries(report.checkpoint.size) + ", signed by the given key\n";
    out += "root        " + HexEncode(report.checkpoint.root.bytes()) + "\n";
  }
  if (!report.first_time.empty()) {
    out += "times       " + report.first_time + " to " + report.last_time + " (as recorded)\n";
  }
  out += KeptLines(kept);
  out += "checked     " + Entries(report.entries) + ", " + std::to_string(report.files) + " files\n\n";
  if (report.verified()) {
    out +=
        "VERIFIED: every entry is the one that was signed, in its place, and none is missing between "
        "them.\n";
    if (!kept.empty()) out += "The log begins with every checkpoint that was kept.\n";
    return out + "\n" + WhatIsNotProven();
  }
  out += "NOT VERIFIED: " + std::to_string(report.problem_count) +
         (report.problem_count == 1 ? " problem.\n" : " problems.\n");
  for (const std::string& problem : report.problems) out += "  - " + problem + "\n";
  if (report.problem_count > report.problems.size()) {
    out += "  - and " + std::to_string(report.problem_count - report.problems.size()) + " more.\n";
  }
  return out;
}

std::string FolderJson(const audit::FolderReport& report, const std::vector<KeptCheckpoint>& kept) {
  json out = {{"kind", "folder"},
              {"verified", report.verified()},
              {"signature_holds", report.signature_holds},
              {"entries", report.entries},
              {"files", report.files},
              {"problem_count", report.problem_count},
              {"problems", report.problems},
              {"kept", KeptRows(kept)}};
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

std::string KeptText(const std::vector<KeptCheckpoint>& kept, const std::optional<std::string>& fork) {
  std::string out = KeptLines(kept) + "\n";
  if (fork) return out + "FORKED: " + *fork + "\n";
  return out + "NO FORK SHOWN: all are signed by the given key, and those of one size have one root.\n"
               "Checkpoints of different sizes are compared over the log itself: give its export as FOLDER.\n";
}

std::string KeptJson(const std::vector<KeptCheckpoint>& kept, const std::optional<std::string>& fork) {
  return Dump({{"kind", "kept"},
               {"verified", !fork},
               {"kept", KeptRows(kept)},
               {"problems", fork ? json::array({*fork}) : json::array()}});
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
