// SPDX-License-Identifier: Apache-2.0
// `cloister versions`: what a retention class keeps of a document, and the text of one version of it.
#include <algorithm>
#include <memory>
#include <ostream>

#include "services/cli/admin_action.h"
#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;

struct ListFlags {
  std::string collection, source, origin, id;
};
struct ReadFlags {
  std::string document, version, reason;
};

StatusOr<json> List(GatewayClient& client, const ListFlags& flags) {
  const std::string path = "/admin/v1/versions?";
  if (!flags.id.empty()) return client.Get(path + "id=" + PathSegment(flags.id));
  if (flags.collection.empty() || flags.source.empty()) {
    return InvalidArgument("name the document by collection and source, or by --id");
  }
  std::string query = "collection=" + PathSegment(flags.collection) + "&source=" + PathSegment(flags.source);
  if (!flags.origin.empty()) query += "&origin=" + PathSegment(flags.origin);
  return client.Get(path + query);
}

// Until when, in words.
std::string Kept(const json& version) {
  if (version.value("current", false)) return "current";
  const std::string until = Text(version, "kept_until");
  return until == "-" ? "for good" : "until " + until.substr(0, 19);
}

void PrintVersions(const json& reply, std::ostream& out) {
  out << "document " << Text(reply, "document") << ": " << Text(reply, "collection") << " / "
      << Text(reply, "source") << " from " << Text(reply, "origin") << "\n";
  std::vector<std::vector<std::string>> rows{{"VERSION", "STORED", "SUPERSEDED", "KEPT", "BYTES"}};
  for (const json& version : reply.value("versions", json::array())) {
    const std::string superseded = Text(version, "superseded_at").substr(0, 19);
    rows.push_back({Text(version, "version"), Text(version, "stored_at").substr(0, 19),
                    superseded + (version.value("deleted", false) ? " (deleted)" : ""), Kept(version),
                    Text(version, "text_bytes")});
  }
  PrintTable(out, rows);
}

// Line by line, as it is stored, save what could repaint a terminal.
void PrintText(const json& reply, std::ostream& out) {
  const json text = reply.value("text", json());
  const std::string all = text.is_string() ? text.get<std::string>() : std::string();
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find('\n', at), all.size());
    out << Printable(std::string_view(all).substr(at, end - at)) << "\n";
    at = end + 1;
  }
}

void AddVersionsGroup(CLI::App& versions, CliContext& context) {
  auto list = std::make_shared<ListFlags>();
  CLI::App* listing = AddAdminAction(
      versions, context, "list", "The current version of a document and the former ones that are kept",
      [list](GatewayClient& client) { return List(client, *list); }, PrintVersions);
  listing->add_option("collection", list->collection, "collection of the document");
  listing->add_option("source", list->source, "its path inside the folder it came from");
  listing->add_option("--origin", list->origin, "the folder it came from, when several have such a document");
  listing->add_option("--id", list->id, "its id in hexadecimal, instead of its name");
  auto read = std::make_shared<ReadFlags>();
  CLI::App* reading = AddAdminAction(
      versions, context, "read",
      "The text of one version; that it was read, by whom and why goes into the log first",
      [read](GatewayClient& client) {
        return client.Call(
            "POST", "/admin/v1/versions/read",
            {{"document", read->document}, {"version", read->version}, {"reason", read->reason}});
      },
      PrintText);
  reading->add_option("document", read->document, "id of the document, as `cloister versions list` shows it")
      ->required();
  reading->add_option("version", read->version, "id of the version")->required();
  reading->add_option("--reason", read->reason, "for the log, at least 8 bytes; sealed under your key")
      ->required();
}

}  // namespace

void AddVersionsCommands(CLI::App& app, CliContext& context) {
  CLI::App* versions = app.add_subcommand(
      "versions",
      "Former versions of documents, for people with the role compliance (auditors may list them)");
  versions->require_subcommand(1);
  AddVersionsGroup(*versions, context);
}

}  // namespace cloister::services
