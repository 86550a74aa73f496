// SPDX-License-Identifier: Apache-2.0
// `cloister search`: ranked documents without an answer, and with --text the passages themselves.
#include <memory>
#include <ostream>

#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;

struct SearchFlags {
  std::string query;
  std::string mode = "hybrid";
  std::string collection;
  std::string purpose;
  uint32_t limit = 12;
  bool text = false;
  bool json = false;
};

std::string Field(const json& object, const char* name) {
  return Printable(object.value(name, std::string()));
}

void PrintResults(const json& answer, std::ostream& out) {
  std::vector<std::vector<std::string>> rows{{"RANK", "TITLE", "DOCUMENT"}};
  for (const json& hit : answer.value("results", json::array())) {
    rows.push_back({hit.value("rank", json()).dump(), Field(hit, "title"),
                    Field(hit, "collection") + "/" + Field(hit, "source")});
  }
  if (rows.size() == 1) {
    out << "Nothing that you may see was found.\n";
    return;
  }
  PrintTable(out, rows);
  for (const json& passage : answer.value("passages", json::array())) {
    out << "\n[" << passage.value("rank", json()).dump() << "] " << Field(passage, "title") << "\n"
        << Wrap(Field(passage, "text"), TerminalWidth(), "  ");
  }
}

int RunSearch(CliContext& context, const SearchFlags& flags, const CredentialFlags& credentials) {
  StatusOr<GatewayClient> client = MakeClient(context, credentials, true);
  if (!client.ok()) return context.Fail(client.status());
  client->SetPurpose(flags.purpose);
  json body{{"query", flags.query}, {"mode", flags.mode}, {"limit", flags.limit}, {"release", flags.text}};
  if (!flags.collection.empty()) body["collection"] = flags.collection;
  const StatusOr<json> answer = client->Call("POST", "/v1/search", body);
  if (!answer.ok()) return context.Fail(answer.status());
  if (flags.json) {
    context.out() << answer->dump(2) << std::endl;
  } else {
    PrintResults(*answer, context.out());
    context.out() << std::flush;
  }
  return kExitOk;
}

}  // namespace

void AddSearchCommands(CLI::App& app, CliContext& context) {
  auto flags = std::make_shared<SearchFlags>();
  CLI::App* command = app.add_subcommand("search", "Find documents you may read, without answering");
  command->add_option("query", flags->query, "what to look for")->required();
  command->add_option("--mode", flags->mode, "hybrid, lexical or dense")
      ->check(CLI::IsMember({"hybrid", "lexical", "dense"}))
      ->capture_default_str();
  command->add_option("--limit", flags->limit, "results, at most 1000, or 64 with --text")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--collection", flags->collection, "only this collection");
  command->add_option("--purpose", flags->purpose, "why: an HL7 purpose code such as TREAT [HOPERAT]");
  command->add_flag("--text", flags->text, "release the passages and show them; this is recorded");
  command->add_flag("--json", flags->json, "for programs");
  auto credentials = AddCredentialFlags(*command);
  command->callback([&context, flags, credentials] {
    context.command = [&context, flags, credentials] { return RunSearch(context, *flags, *credentials); };
  });
}

}  // namespace cloister::services
