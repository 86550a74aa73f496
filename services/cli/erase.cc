// SPDX-License-Identifier: Apache-2.0
// `cloister erase`, `cloister hold` and `cloister answers`: what is erased, what is kept from it, and who had seen it.
#include <unistd.h>

#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <sstream>

#include "services/cli/admin_action.h"
#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;

struct TargetFlags {
  std::string collection, source, origin, id;  // A document; or `collection` alone.
  std::string subject;
};

struct EraseFlags {
  TargetFlags target;
  std::string shared, reason, basis;
  bool dry_run = false, yes = false;
};

constexpr const char* kBasisHelp =
    "gdpr-17-1-a (no longer needed), -b (consent withdrawn), -c (objection), -d (unlawful), -e (legal obligation), -f "
    "(child), contract, retention or other";
constexpr const char* kHoldBasisHelp =
    "legal-claims, legal-obligation, public-health, archiving or expression (GDPR article 17(3))";

json TargetJson(const std::string& kind, const TargetFlags& flags) {
  if (kind == "subject") return {{"subject", flags.subject}};
  if (kind == "collection") return {{"collection", flags.collection}};
  if (!flags.id.empty()) return {{"document", {{"id", flags.id}}}};
  json document{{"collection", flags.collection}, {"source", flags.source}};
  if (!flags.origin.empty()) document["origin"] = flags.origin;
  return {{"document", std::move(document)}};
}

void PrintHold(const json& hold, std::ostream& out) {
  out << "  " << Text(hold, "id") << "  " << Text(hold, "basis") << "  on ";
  if (hold.contains("document")) {
    out << "document " << Text(hold["document"], "collection") << " / " << Text(hold["document"], "source");
  } else {
    out << Text(hold, "target") << " " << Text(hold, "name");
  }
  out << "\n      " << Text(hold, "reason") << " (" << Text(hold, "placed_by") << ", " << Text(hold, "placed_at") << ")\n";
}

void PrintPlan(const json& plan, std::ostream& out) {
  out << "Would be erased: " << Text(plan, "documents_total") << " document(s)\n";
  for (const json& document : plan.value("documents", json::array())) {
    out << "  " << Text(document, "document").substr(0, 8) << "  " << Text(document, "collection") << " / "
        << Text(document, "source");
    if (document.value("shared", false)) out << "  [concerns other subjects, too]";
    if (!document.value("holds", json::array()).empty()) out << "  [held]";
    out << "\n";
  }
  out << "  " << Text(plan, "rows") << " sealed records, " << Text(plan, "chunks")
      << " passages with their vectors and terms, " << Text(plan, "keys") << " keys; " << Text(plan, "segments")
      << " index segment(s) to be rewritten\n"
      << "Handed out before: " << Text(plan, "releases") << " release(s) to " << Text(plan, "recipients")
      << " person(s)\n";
  for (const json& sentence : plan.value("not_counted", json::array())) {
    if (sentence.is_string()) out << Wrap(Printable(sentence.get<std::string>()), TerminalWidth(), "  ");
  }
  const json holds = plan.value("holds", json::array());
  if (holds.empty()) return;
  out << "Nothing can be erased while these holds stand:\n";
  for (const json& hold : holds) PrintHold(hold, out);
}

std::string Seconds(const json& state, const char* name) {
  if (!state.contains(name) || !state[name].is_number()) return "-";
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << state[name].get<double>() << " s";
  return text.str();
}

void PrintState(const json& state, std::ostream& out) {
  out << "Erasure " << Text(state, "id") << ": " << Text(state, "state") << "\n"
      << "  " << Text(state, "documents_total") << " document(s); basis " << Text(state, "basis") << "; unsearchable after "
      << Seconds(state, "seconds_to_unsearchable") << ", completed after " << Seconds(state, "seconds_to_completed")
      << "\n"
      << "  key anchor: " << Text(state, "anchor") << "; "
      << (state.value("for_good", false) ? "no older keyring opens what was erased"
                                         : "an older copy of the keyring is NOT useless, see below")
      << "\n  escrowed keyring: " << Text(state, "escrow") << "\n";
  const json classes = state.value("classes", json::array());
  if (!classes.empty()) out << "\nWhat was done, and how it was verified:\n";
  for (const json& erased : classes) {
    out << "  - " << Text(erased, "name");
    if (erased.value("count", 0) > 0) out << ": " << Text(erased, "count");
    out << "\n" << Wrap(Text(erased, "how") + "; verified: " + Text(erased, "verified"), TerminalWidth(), "      ");
  }
  const json outside = state.value("outside", json::array());
  if (!outside.empty()) out << "\nWhat this does not reach:\n";
  for (const json& sentence : outside) {
    if (sentence.is_string()) out << Bullet(Printable(sentence.get<std::string>()), TerminalWidth());
  }
  if (state.contains("audit_completed") && state["audit_completed"].is_number()) {
    out << "\nThe signed receipt: cloister audit receipt " << Text(state, "audit_completed") << "\n";
  }
}

// Whoever types it has read the plan; a program says --yes.
StatusOr<bool> Confirmed(const EraseFlags& flags, const json& plan) {
  if (flags.yes) return true;
  if (::isatty(STDIN_FILENO) != 1) return InvalidArgument("without a terminal, say --yes (or --dry-run to look first)");
  PrintPlan(plan, std::cerr);
  std::cerr << "This cannot be undone. Type \"erase\" to go on: " << std::flush;
  std::string line;
  std::getline(std::cin, line);
  return line == "erase";
}

StatusOr<json> Erase(GatewayClient& client, const std::string& kind, const EraseFlags& flags) {
  json body = TargetJson(kind, flags.target);
  if (!flags.shared.empty()) body["shared"] = flags.shared;
  json look = body;
  look["dry_run"] = true;
  CLOISTER_ASSIGN_OR_RETURN(const json plan, client.Call("POST", "/admin/v1/erasures", look));
  if (flags.dry_run) return plan;
  if (flags.reason.empty() || flags.basis.empty()) return InvalidArgument("an erasure needs --reason and --basis");
  CLOISTER_ASSIGN_OR_RETURN(const bool confirmed, Confirmed(flags, plan));
  if (!confirmed) return FailedPrecondition("nothing was erased");
  body["reason"] = flags.reason;
  body["basis"] = flags.basis;
  return client.Call("POST", "/admin/v1/erasures", body);
}

void AddDocumentOptions(CLI::App& command, TargetFlags& flags) {
  command.add_option("collection", flags.collection, "collection of the document");
  command.add_option("source", flags.source, "its path inside the folder it came from");
  command.add_option("--origin", flags.origin, "the folder it came from, when several have such a document");
  command.add_option("--id", flags.id, "its id in hexadecimal, instead of its name");
}

void AddEraseTarget(CLI::App& erase, CliContext& context, const char* kind, const char* help) {
  auto flags = std::make_shared<EraseFlags>();
  CLI::App* command = AddAdminAction(
      erase, context, kind, help,
      [kind = std::string(kind), flags](GatewayClient& client) { return Erase(client, kind, *flags); },
      [](const json& reply, std::ostream& out) {
        if (reply.value("dry_run", false)) {
          PrintPlan(reply, out);
        } else {
          PrintState(reply, out);
        }
      });
  if (std::string_view(kind) == "document") AddDocumentOptions(*command, flags->target);
  if (std::string_view(kind) == "subject") {
    command->add_option("subject", flags->target.subject, "data subject, as the documents declare it")->required();
    command->add_option("--shared", flags->shared, "documents that concern other subjects, too: erase or keep");
  }
  if (std::string_view(kind) == "collection") {
    command->add_option("collection", flags->target.collection, "collection")->required();
  }
  command->add_option("--reason", flags->reason, "for the log, at least 8 bytes; sealed under your key");
  command->add_option("--basis", flags->basis, kBasisHelp);
  command->add_flag("--dry-run", flags->dry_run, "only list what would go and what stands against it");
  command->add_flag("--yes", flags->yes, "do not ask");
}

void PrintErasures(const json& reply, std::ostream& out) {
  std::vector<std::vector<std::string>> rows{{"ERASURE", "TARGET", "STATE", "DOCUMENTS", "REQUESTED", "RECEIPT"}};
  for (const json& state : reply.value("erasures", json::array())) {
    rows.push_back({Text(state, "id"), Text(state, "target"), Text(state, "state"), Text(state, "documents_total"),
                    Text(state, "requested_at").substr(0, 19), Text(state, "audit_completed")});
  }
  PrintTable(out, rows);
}

// In full, since `cloister versions read` wants them so.
void PrintReleasedVersions(const json& reply, std::ostream& out) {
  std::map<std::pair<std::string, std::string>, size_t> releases;
  for (const json& release : reply.value("releases", json::array())) {
    for (const json& version : release.value("versions", json::array())) {
      ++releases[{Text(version, "document"), Text(version, "version")}];
    }
  }
  if (releases.empty()) return;
  std::vector<std::vector<std::string>> rows{{"DOCUMENT", "VERSION", "RELEASES"}};
  for (const auto& [ids, count] : releases) rows.push_back({ids.first, ids.second, std::to_string(count)});
  out << "\nThey rest on these versions; cloister versions read DOCUMENT VERSION shows one that is kept:\n";
  PrintTable(out, rows);
}

// INDEX in the present log, GENERATION/INDEX in a former one: as `cloister audit unseal` takes it.
std::string RecordName(const json& reply, const json& release) {
  const std::string index = Text(release, "index");
  const bool former = release.contains("generation") && release["generation"] != reply.value("generation", json());
  return former ? Text(release, "generation") + "/" + index : index;
}

void PrintFormerLogs(const json& reply, std::ostream& out) {
  for (const json& former : reply.value("former_logs", json::array())) {
    const std::string problem = Text(former, "problem");
    if (problem == "-") continue;
    out << Wrap("Releases may be missing here: the log of generation " + Text(former, "generation") + " " + problem + ".",
                TerminalWidth(), "");
  }
}

void PrintReleases(const json& reply, std::ostream& out) {
  std::vector<std::vector<std::string>> rows{{"RECORD", "TIME", "PERSON", "PURPOSE", "APPLICATION"}};
  for (const json& release : reply.value("releases", json::array())) {
    const std::string user = Text(release, "user");
    rows.push_back({RecordName(reply, release), Text(release, "time").substr(0, 19),
                    user == "-" ? "(forgotten) " + Text(release, "pseudonym").substr(0, 8) : user,
                    Text(release, "purpose"), Text(release, "client_application")});
  }
  if (rows.size() > 1) PrintTable(out, rows);
  out << Text(reply, "total") << " release(s) to " << Text(reply, "recipients") << " person(s)\n";
  PrintFormerLogs(reply, out);
  PrintReleasedVersions(reply, out);
}

void AddEraseGroup(CLI::App& erase, CliContext& context) {
  AddEraseTarget(erase, context, "document", "Erase one document, in all its versions");
  AddEraseTarget(erase, context, "subject", "Erase a data subject: its documents, and its part of the log");
  AddEraseTarget(erase, context, "collection", "Erase a collection with everything in it");
  AddAdminAction(erase, context, "list", "List erasures",
                 [](GatewayClient& client) { return client.Get("/admin/v1/erasures"); }, PrintErasures);
  auto id = std::make_shared<std::string>();
  AddAdminAction(
      erase, context, "show", "What one erasure did, how it was verified and what it does not reach",
      [id](GatewayClient& client) { return client.Get("/admin/v1/erasures/" + PathSegment(*id)); }, PrintState)
      ->add_option("erasure", *id, "id from `cloister erase list`")
      ->required();
  auto of = std::make_shared<std::string>();
  AddAdminAction(
      erase, context, "recipients", "Who had been handed passages of what an erasure took",
      [of](GatewayClient& client) { return client.Get("/admin/v1/erasures/" + PathSegment(*of) + "/recipients"); },
      PrintReleases)
      ->add_option("erasure", *of, "id from `cloister erase list`")
      ->required();
  struct NoticeFlags {
    std::string id, recipient, how;
  };
  auto notice = std::make_shared<NoticeFlags>();
  CLI::App* notified = AddAdminAction(
      erase, context, "notified", "Record that a recipient was told of an erasure",
      [notice](GatewayClient& client) {
        return client.Call("POST", "/admin/v1/erasures/" + PathSegment(notice->id) + "/notices",
                           {{"recipient", notice->recipient}, {"how", notice->how}});
      },
      [](const json&, std::ostream& out) { out << "recorded\n"; });
  notified->add_option("erasure", notice->id, "id from `cloister erase list`")->required();
  notified->add_option("--recipient", notice->recipient, "who was told")->required();
  notified->add_option("--how", notice->how, "letter, call, meeting")->required();
  struct LiftFlags {
    TargetFlags target;
    std::string reason;
  };
  auto lift = std::make_shared<LiftFlags>();
  CLI::App* lifted = AddAdminAction(
      erase, context, "lift", "Let a document that was erased be brought in again",
      [lift](GatewayClient& client) {
        return client.Call("POST", "/admin/v1/suppressions/lift",
                           {{"collection", lift->target.collection},
                            {"origin", lift->target.origin},
                            {"source", lift->target.source},
                            {"reason", lift->reason}});
      },
      [](const json&, std::ostream& out) { out << "it may come in again with the next ingest\n"; });
  lifted->add_option("collection", lift->target.collection, "collection of the document")->required();
  lifted->add_option("source", lift->target.source, "its path inside the folder it came from")->required();
  lifted->add_option("--origin", lift->target.origin, "the folder it came from, or the name given with --as")->required();
  lifted->add_option("--reason", lift->reason, "for the log, at least 8 bytes")->required();
  AddAdminAction(
      erase, context, "retired", "Destroy now the keys of superseded and deleted versions",
      [](GatewayClient& client) { return client.Call("POST", "/admin/v1/shred", json::object()); },
      [](const json& reply, std::ostream& out) {
        out << "destroyed " << Text(reply, "keys") << " key(s), rewrote " << Text(reply, "segments")
            << " segment(s); the keyring is in epoch " << Text(reply, "epoch") << "\n";
      });
}

void AddHoldGroup(CLI::App& hold, CliContext& context) {
  struct PlaceFlags {
    TargetFlags target;
    std::string basis, reason;
  };
  for (const char* kind : {"document", "subject", "collection"}) {
    auto flags = std::make_shared<PlaceFlags>();
    CLI::App* place = AddAdminAction(
        hold, context, kind, (std::string("Keep a ") + kind + " from being erased").c_str(),
        [kind = std::string(kind), flags](GatewayClient& client) {
          json body = TargetJson(kind, flags->target);
          body["basis"] = flags->basis;
          body["reason"] = flags->reason;
          return client.Call("POST", "/admin/v1/holds", body);
        },
        [](const json& reply, std::ostream& out) {
          out << "placed\n";
          PrintHold(reply, out);
        });
    if (std::string_view(kind) == "subject") {
      place->add_option("subject", flags->target.subject, "data subject, as the documents declare it")->required();
    } else {
      place->add_option("collection", flags->target.collection, "collection")->required();
    }
    if (std::string_view(kind) == "document") {
      place->add_option("source", flags->target.source, "its path inside the folder it came from")->required();
      place->add_option("--origin", flags->target.origin, "the folder it came from, when several have such a document");
    }
    place->add_option("--basis", flags->basis, kHoldBasisHelp)->required();
    place->add_option("--reason", flags->reason, "for the log, at least 8 bytes")->required();
  }
  AddAdminAction(hold, context, "list", "List the holds that stand",
                 [](GatewayClient& client) { return client.Get("/admin/v1/holds"); },
                 [](const json& reply, std::ostream& out) {
                   const json holds = reply.value("holds", json::array());
                   if (holds.empty()) out << "no hold stands\n";
                   for (const json& one : holds) PrintHold(one, out);
                 });
  auto id = std::make_shared<std::string>();
  auto reason = std::make_shared<std::string>();
  CLI::App* release = AddAdminAction(
      hold, context, "release", "Let go of a hold",
      [id, reason](GatewayClient& client) {
        return client.Call("POST", "/admin/v1/holds/" + PathSegment(*id) + "/release", {{"reason", *reason}});
      },
      [](const json&, std::ostream& out) { out << "released\n"; });
  release->add_option("hold", *id, "id from `cloister hold list`")->required();
  release->add_option("--reason", *reason, "for the log, at least 8 bytes")->required();
}

}  // namespace

void AddEraseCommands(CLI::App& app, CliContext& context) {
  CLI::App* erase = app.add_subcommand("erase", "Erase documents, data subjects and collections, with a receipt");
  erase->require_subcommand(1);
  AddEraseGroup(*erase, context);
  CLI::App* hold = app.add_subcommand("hold", "Legal holds: what may not be erased while they stand");
  hold->require_subcommand(1);
  AddHoldGroup(*hold, context);
  CLI::App* answers = app.add_subcommand("answers", "Answers that rest on a document");
  answers->require_subcommand(1);
  auto target = std::make_shared<TargetFlags>();
  CLI::App* affected = AddAdminAction(
      *answers, context, "affected", "Who was handed passages of a document, in any of its versions",
      [target](GatewayClient& client) {
        return client.Call("POST", "/admin/v1/answers-affected", TargetJson("document", *target));
      },
      PrintReleases);
  AddDocumentOptions(*affected, *target);
}

}  // namespace cloister::services
