// SPDX-License-Identifier: Apache-2.0
// `cloister audit`: reads, exports and proves the log. What is exported here is checked by cloister-verify.
#include <charconv>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <thread>

#include "common/bytes.h"
#include "common/file.h"
#include "services/cli/audit_text.h"
#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;

// A checkpoint follows at most a second after the record it covers.
constexpr int kReceiptAttempts = 15;
constexpr std::chrono::milliseconds kReceiptPause{200};
constexpr size_t kPathBytesMax = 512;

// INDEX in the present log, or GENERATION/INDEX.
struct EntryName {
  uint64_t index = 0;
  uint64_t generation = 0;  // 0: the present one's.
  std::string text;         // As it was given.
};

struct AuditFlags {
  std::optional<EntryName> entry;
  uint32_t last = 20;
  std::string out;
  std::string directory;
  std::string reason;
  bool json = false;
};

std::optional<uint64_t> ParseDigits(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<EntryName> ParseEntryName(const std::string& text) {
  EntryName name;
  name.text = text;
  std::string_view index = text;
  if (const size_t slash = index.find('/'); slash != std::string_view::npos) {
    const auto generation = ParseDigits(index.substr(0, slash));
    if (!generation || *generation == 0) return std::nullopt;
    name.generation = *generation;
    index.remove_prefix(slash + 1);
  }
  const auto number = ParseDigits(index);
  if (!number) return std::nullopt;
  name.index = *number;
  return name;
}

int RunShow(CliContext& context, const AuditFlags& flags, GatewayClient& client) {
  std::string query = flags.entry.has_value() ? "first=" + std::to_string(flags.entry->index) + "&count=1"
                                              : "last=" + std::to_string(flags.last);
  if (flags.entry.has_value() && flags.entry->generation > 0) {
    query += "&generation=" + std::to_string(flags.entry->generation);
  }
  const StatusOr<json> reply = client.Get("/admin/v1/audit/entries?" + query);
  if (!reply.ok()) return context.Fail(reply.status());
  const json entries = reply->value("entries", json::array());
  if (entries.empty()) return context.Fail(NotFound("there is no such entry in the log"));
  for (const json& entry : entries) {
    if (flags.json) {
      context.out() << entry.dump() << "\n";
      continue;
    }
    const uint64_t index = entry.value("index", uint64_t{0});
    const json envelope = entry.value("entry", json::object());
    context.out() << (flags.entry.has_value() ? EntryText(flags.entry->text, envelope)
                                              : EntryBrief(index, envelope, TerminalWidth()));
  }
  if (!flags.json && flags.entry.has_value()) {
    context.out() << "\nThe record whole: cloister audit show " << flags.entry->text << " --json\n";
  }
  context.out() << std::flush;
  return kExitOk;
}

StatusOr<json> FetchReceipt(GatewayClient& client, const EntryName& entry) {
  std::string path = "/admin/v1/audit/receipts/" + std::to_string(entry.index);
  if (entry.generation > 0) path += "?generation=" + std::to_string(entry.generation);
  for (int attempt = 1;; ++attempt) {
    StatusOr<json> reply = client.Get(path);
    if (reply.status().code() != StatusCode::kUnavailable || attempt == kReceiptAttempts) return reply;
    std::this_thread::sleep_for(kReceiptPause);
  }
}

int RunReceipt(CliContext& context, const AuditFlags& flags, GatewayClient& client) {
  const StatusOr<json> reply = FetchReceipt(client, *flags.entry);
  if (!reply.ok()) return context.Fail(reply.status());
  if (flags.json) {
    context.out() << reply->dump(2) << std::endl;
    return kExitOk;
  }
  const std::string receipt = reply->value("receipt", "");
  if (flags.out.empty()) {
    context.out() << receipt << std::flush;
    return kExitOk;
  }
  const Status written = WriteFileAtomic(flags.out, receipt, 0600);
  if (!written.ok()) return context.Fail(Annotate(written, flags.out));
  context.error() << "receipt of entry " << flags.entry->text << " in " << flags.out << std::endl;
  return kExitOk;
}

// The appliance names the paths; they stay inside the folder whatever it says.
bool IsSafePath(const std::string& path) {
  if (path.empty() || path.size() > kPathBytesMax || path.front() == '/' || path.back() == '/') return false;
  for (const auto& part : std::filesystem::path(path)) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return std::all_of(path.begin(), path.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '/' ||
           c == '_' || c == '-';
  });
}

// Writes the pieces of an export as they come.
class ExportWriter {
 public:
  explicit ExportWriter(std::filesystem::path directory) : directory_(std::move(directory)) {}
  Status Take(std::string_view line);
  bool ended() const { return ended_; }
  size_t files() const { return files_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  std::filesystem::path directory_;
  std::set<std::string> files_;
  std::string path_;     // Of the file that is open.
  std::ofstream file_;
  uint64_t offset_ = 0;  // Its bytes so far.
  uint64_t bytes_ = 0;
  bool ended_ = false;
};

Status ExportWriter::Take(std::string_view line) {
  const json piece = json::parse(line, nullptr, false);
  if (!piece.is_object() || ended_) return DataLoss("the export cannot be read");
  if (piece.contains("error")) return Unavailable("the export broke off: " + piece["error"].value("message", ""));
  if (piece.value("end", false)) {
    file_.close();
    if (file_.fail() && !path_.empty()) return ResourceExhausted("the export could not be written; is the disk full?");
    if (piece.value("files", uint64_t{0}) != files_.size() || piece.value("bytes", uint64_t{0}) != bytes_) {
      return DataLoss("the export is not whole");
    }
    ended_ = true;
    return absl::OkStatus();
  }
  const std::string path = piece.value("path", "");
  CLOISTER_ASSIGN_OR_RETURN(const std::string content, Base64Decode(piece.value("content", "")));
  const uint64_t offset = piece.value("offset", uint64_t{0});
  if (!IsSafePath(path)) return DataLoss("the export names a file outside its folder");
  if (offset == 0) {
    if (!files_.insert(path).second) return DataLoss("the export names a file twice");
    file_.close();
    std::error_code error;
    std::filesystem::create_directories((directory_ / path).parent_path(), error);
    file_.clear();
    file_.open(directory_ / path, std::ios::binary | std::ios::trunc);
    path_ = path;
    offset_ = 0;
  }
  if (path != path_ || offset != offset_) return DataLoss("the export's pieces are out of order");
  file_.write(content.data(), static_cast<std::streamsize>(content.size()));
  file_.flush();
  if (!file_.good()) return ResourceExhausted("the export could not be written; is the disk full?");
  offset_ += content.size();
  bytes_ += content.size();
  return absl::OkStatus();
}

int RunExport(CliContext& context, const AuditFlags& flags, GatewayClient& client) {
  std::error_code error;
  const std::filesystem::path directory = std::filesystem::absolute(flags.directory);
  if (std::filesystem::exists(directory, error) && !std::filesystem::is_empty(directory, error)) {
    return context.Fail(FailedPrecondition("the folder for the export must be new or empty"));
  }
  if (Status made = MakePrivateDirectory(directory); !made.ok()) return context.Fail(Annotate(made, flags.directory));
  ExportWriter writer(directory);
  const Status status = client.Lines("POST", "/admin/v1/audit/export", nullptr,
                                     [&](std::string_view line) { return writer.Take(line); });
  if (!status.ok()) return context.Fail(status);
  if (!writer.ended()) return context.Fail(DataLoss("the export is not whole; run it again"));
  if (flags.json) {
    context.out() << json{{"directory", directory.string()}, {"files", writer.files()}, {"bytes", writer.bytes()}}.dump()
                  << std::endl;
  } else {
    context.out() << writer.files() << " files, " << HumanBytes(static_cast<double>(writer.bytes())) << " in "
                  << directory.string() << "\nCheck it anywhere: cloister-verify " << directory.string()
                  << " --key FILE, with the key from `cloister audit key`" << std::endl;
  }
  return kExitOk;
}

int RunUnseal(CliContext& context, const AuditFlags& flags, GatewayClient& client) {
  json body{{"reason", flags.reason}};
  if (flags.entry->generation > 0) body["generation"] = flags.entry->generation;
  const StatusOr<json> reply =
      client.Call("POST", "/admin/v1/audit/entries/" + std::to_string(flags.entry->index) + "/unseal", body);
  if (!reply.ok()) return context.Fail(reply.status());
  if (flags.json) {
    context.out() << reply->dump(2) << std::endl;
    return kExitOk;
  }
  context.out() << UnsealedText(reply->value("sections", json::array()), TerminalWidth());
  context.out() << "This reading is entry " << reply->value("audit_index", json()).dump() << " of the log." << std::endl;
  return kExitOk;
}

int RunKey(CliContext& context, const AuditFlags& flags, GatewayClient& client) {
  const StatusOr<json> status = client.Get("/admin/v1/status");
  if (!status.ok()) return context.Fail(status.status());
  const json log = status->value("audit", json());
  if (!log.is_object()) return context.Fail(Unavailable("the audit service does not answer; see `cloister status`"));
  if (flags.json) {
    context.out() << json{{"origin", log.value("origin", "")}, {"verifier_key", log.value("verifier_key", "")}}.dump()
                  << std::endl;
  } else {
    context.out() << log.value("verifier_key", "") << std::endl;
  }
  return kExitOk;
}

using Runner = int (*)(CliContext&, const AuditFlags&, GatewayClient&);

// `entry` of an action: INDEX, or GENERATION/INDEX for a log of before a restore.
CLI::Option* AddEntryOption(CLI::App& command, const std::shared_ptr<AuditFlags>& flags, const std::string& help) {
  return command
      .add_option_function<std::string>(
          "entry", [flags](const std::string& text) { flags->entry = ParseEntryName(text); },
          help + ": INDEX, or GENERATION/INDEX in a log of before a restore")
      ->type_name("ENTRY")
      ->check([](const std::string& text) {
        return ParseEntryName(text) ? std::string() : "say INDEX or GENERATION/INDEX, such as 41 or 1/41";
      });
}

CLI::App* AddAction(CLI::App& group, CliContext& context, const char* name, const char* help,
                    const std::shared_ptr<AuditFlags>& flags, Runner run) {
  CLI::App* command = group.add_subcommand(name, help);
  command->add_flag("--json", flags->json, "for programs");
  auto credentials = AddCredentialFlags(*command);
  command->callback([&context, flags, credentials, run] {
    context.command = [&context, flags, credentials, run] {
      StatusOr<GatewayClient> client = MakeClient(context, *credentials, false);
      return client.ok() ? run(context, *flags, *client) : context.Fail(client.status());
    };
  });
  return command;
}

}  // namespace

void AddAuditCommands(CLI::App& app, CliContext& context) {
  CLI::App* audit = app.add_subcommand("audit", "The log of who saw what: read it, prove it, take it away");
  audit->require_subcommand(1);
  auto show_flags = std::make_shared<AuditFlags>();
  CLI::App* show = AddAction(*audit, context, "show", "Show an entry, or the last ones; reading is itself recorded",
                             show_flags, RunShow);
  auto* index = AddEntryOption(*show, show_flags, "entry to show");
  show->add_option("--last", show_flags->last, "how many entries from the end, at most 1000")
      ->check(CLI::Range(1, 1000))
      ->excludes(index)
      ->capture_default_str();
  auto receipt_flags = std::make_shared<AuditFlags>();
  CLI::App* receipt = AddAction(*audit, context, "receipt", "Proof that an entry is in the log, checkable offline",
                                receipt_flags, RunReceipt);
  AddEntryOption(*receipt, receipt_flags, "entry to prove")->required();
  receipt->add_option("--out", receipt_flags->out, "file to write it to [standard output]");
  auto export_flags = std::make_shared<AuditFlags>();
  AddAction(*audit, context, "export", "Copy the whole log for cloister-verify or any C2SP verifier", export_flags,
            RunExport)
      ->add_option("directory", export_flags->directory, "folder to make")
      ->required();
  auto unseal_flags = std::make_shared<AuditFlags>();
  CLI::App* unseal = AddAction(*audit, context, "unseal", "Open the personal part of an entry; the reason is recorded",
                               unseal_flags, RunUnseal);
  AddEntryOption(*unseal, unseal_flags, "entry to open")->required();
  unseal->add_option("--reason", unseal_flags->reason, "why, 8 to 1000 characters")->required();
  AddAction(*audit, context, "key", "Print the public key that checks this log", std::make_shared<AuditFlags>(),
            RunKey);
}

}  // namespace cloister::services
