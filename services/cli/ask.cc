// SPDX-License-Identifier: Apache-2.0
// `cloister ask`: one question, answered with quotes and where they stand.
#include <algorithm>
#include <memory>
#include <ostream>

#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;

struct AskFlags {
  std::string question;
  std::string collection;
  std::string purpose;
  bool include_not_in_force = false;
  bool json = false;
  bool timing = false;
};

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? Printable(found->get<std::string>()) : std::string();
}

std::string PagesOf(const json& quote) {
  const json first = quote.value("page_first", json());
  const json last = quote.value("page_last", json());
  if (!first.is_number_unsigned()) return "";
  if (last == first || !last.is_number_unsigned()) return "page " + first.dump();
  return "pages " + first.dump() + "-" + last.dump();
}

// "Hand hygiene rules (2025), page 2, Rubbing > Duration. ward/hand-hygiene.pdf, characters 120-233, from 2025-01-01"
std::string SourceLine(const json& quote) {
  std::string line = Text(quote, "title");
  if (const std::string pages = PagesOf(quote); !pages.empty()) line += ", " + pages;
  std::string section;
  for (const json& heading : quote.value("section", json::array())) {
    if (heading.is_string()) section += (section.empty() ? "" : " > ") + Printable(heading.get<std::string>());
  }
  if (!section.empty()) line += ", " + section;
  line += ". " + Text(quote, "collection") + "/" + Text(quote, "source");
  line += ", characters " + quote.value("start", json(0)).dump() + "-" + quote.value("end", json(0)).dump();
  if (const std::string from = Text(quote, "effective_from"); !from.empty()) line += ", in force from " + from;
  return line;
}

// "[1] text", with later lines under the text.
std::string Numbered(size_t number, const std::string& text) {
  const std::string mark = "  [" + std::to_string(number) + "] ";
  return mark + Wrap(text, TerminalWidth(), std::string(mark.size(), ' ')).substr(mark.size());
}

void PrintQuotes(const json& quotes, std::ostream& out) {
  size_t number = 0;
  for (const json& quote : quotes) out << Numbered(++number, Text(quote, "text")) << "\n";
  out << "Sources\n";
  number = 0;
  for (const json& quote : quotes) out << Numbered(++number, SourceLine(quote));
}

void PrintTiming(const json& timing, std::ostream& out) {
  static constexpr std::pair<const char*, const char*> kSteps[] = {
      {"audit_intent_us", "record of the question"}, {"embed_us", "question to vector"},
      {"search_us", "decision and search"},          {"release_us", "release and its record"},
      {"generate_us", "choosing sentences"},         {"score_us", "  of it in the model"},
      {"audit_outcome_us", "record of the outcome"}, {"total_us", "total"}};
  out << "\n";
  std::vector<std::vector<std::string>> rows;
  for (const auto& [field, name] : kSteps) {
    char milliseconds[32];
    std::snprintf(milliseconds, sizeof milliseconds, "%10.1f ms", timing.value(field, 0.0) / 1000);
    rows.push_back({name, milliseconds});
  }
  PrintTable(out, rows);
}

void PrintAnswer(const json& answer, std::ostream& out) {
  const std::string band = Text(answer, "band");
  out << "\n";
  if (band == "refusal") {
    out << Wrap(Text(answer, "answer"), TerminalWidth(), "");
    const json titles = answer.value("nearest_titles", json::array());
    if (!titles.empty()) out << "\nNearest documents\n";
    for (const json& title : titles) {
      out << Wrap(Text(title, "title") + ". " + Text(title, "collection") + "/" + Text(title, "source"),
                  TerminalWidth(), "  ");
    }
  } else {
    if (band == "may_help") {
      out << Wrap("The documents do not answer this directly. Passages that may help, not an answer:",
                  TerminalWidth(), "")
          << "\n";
    }
    PrintQuotes(answer.value("quotes", json::array()), out);
  }
  const json records = answer.value("records", json::object());
  out << "\nRecords " << records.value("intent", json()).dump() << ", " << records.value("release", json()).dump()
      << ", " << records.value("outcome", json()).dump();
  if (band == "answer") out << ". Confidence " << Text(answer, "confidence_band");
  out << ".\n";
}

int RunAsk(CliContext& context, const AskFlags& flags, const CredentialFlags& credentials) {
  StatusOr<GatewayClient> client = MakeClient(context, credentials, true);
  if (!client.ok()) return context.Fail(client.status());
  client->SetPurpose(flags.purpose);
  json body{{"question", flags.question}, {"include_not_in_force", flags.include_not_in_force}};
  if (!flags.collection.empty()) body["collection"] = flags.collection;
  const StatusOr<json> answer = client->Call("POST", "/v1/ask", body);
  if (!answer.ok()) return context.Fail(answer.status());
  if (flags.json) {
    context.out() << answer->dump(2) << std::endl;
    return kExitOk;
  }
  PrintAnswer(*answer, context.out());
  if (flags.timing) PrintTiming(answer->value("timing", json::object()), context.out());
  context.out() << std::flush;
  return kExitOk;
}

}  // namespace

void AddAskCommands(CLI::App& app, CliContext& context) {
  auto flags = std::make_shared<AskFlags>();
  CLI::App* command = app.add_subcommand("ask", "Ask a question; the answer quotes documents you may read");
  command->add_option("question", flags->question, "the question, in quotation marks")->required();
  command->add_option("--collection", flags->collection, "only this collection");
  command->add_option("--purpose", flags->purpose, "why: an HL7 purpose code such as TREAT [HOPERAT]");
  command->add_flag("--include-not-in-force", flags->include_not_in_force,
                    "also superseded, expired and not yet effective documents");
  command->add_flag("--json", flags->json, "the whole answer for programs");
  command->add_flag("--timing", flags->timing, "where the time went");
  auto credentials = AddCredentialFlags(*command);
  command->footer(
      "Exit status: 0 when the question was taken, whether or not the documents answer it (--json says which, in\n"
      "'band'); 1 when it was not; 2 for wrong usage.");
  command->callback([&context, flags, credentials] {
    context.command = [&context, flags, credentials] { return RunAsk(context, *flags, *credentials); };
  });
}

}  // namespace cloister::services
